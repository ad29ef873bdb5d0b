"""The wheel, built without a network and opened in an empty folder: all that a checkout has to run is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from explorer.environment import MODEL_LIBRARIES
from explorer.model.hub import locate
from tests.conftest import IN_DEPTH, ROOT
from tests.pages import TITLES

PACKAGES = ("explorer", "precompute")
APP = ("streamlit_app.py", "pages", ".streamlit", "encoders")
"""What lies at the top of a checkout, and in ``explorer/app`` of the wheel."""


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheel is built from: building writes beside its sources."""
    checkout = tmp_path_factory.mktemp("wheel") / "checkout"
    lists = [path.name for path in ROOT.glob("requirements*.txt")]
    for name in (*PACKAGES, *APP, *lists, "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        checkout.mkdir(exist_ok=True)
        copy(ROOT / name, checkout / name)
    for cache in list(checkout.rglob("__pycache__")):
        shutil.rmtree(cache)
    return checkout


@pytest.fixture(scope="module")
def installed(checkout: Path) -> Path:
    """The folder of an installation; a wheel of pure Python is its files."""
    before = {part: files_below(checkout / part) for part in PACKAGES}
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    built = checkout.with_name("built")
    subprocess.run([sys.executable, "-c", build, str(built)], cwd=checkout, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    installed = checkout.with_name("installed")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(installed)
    assert before == {part: files_below(checkout / part) for part in PACKAGES}
    return installed


def run(installed: Path, folder: Path, *arguments: str, python: str = sys.executable, **environment: str) -> str:
    """What Python prints in a folder where it can find the installation and no checkout."""
    env = {**os.environ, "PYTHONPATH": str(installed), **environment}
    done = subprocess.run([python, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_and_no_other(checkout: Path, installed: Path) -> None:
    expected = {f"{part}/{file}" for part in PACKAGES for file in files_below(checkout / part)}
    for part in APP:
        below = files_below(checkout / part) if (checkout / part).is_dir() else {"."}
        expected |= {os.path.normpath(f"explorer/app/{part}/{file}") for file in below}
    assert {file for file in files_below(installed) if ".dist-info" not in file} == expected
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "cxr-explorer = explorer.__main__:start" in entry.read_text()
    (metadata,) = installed.glob("*.dist-info/METADATA")
    assert "Provides-Extra: remote" in metadata.read_text()
    assert "cxr-precompute = precompute.__main__:main" in entry.read_text()


def test_the_batch_job_of_the_wheel_finds_its_files(installed: Path, tmp_path: Path) -> None:
    assert "linear probe" in run(installed, tmp_path, "-m", "precompute", "--help")
    code = (
        "import precompute\n"
        "from precompute.commands.run import DEMO_ENCODER\n"
        "from precompute.prompts import PROMPT_SETS\n"
        "from precompute.sources.mesh import MESH_TABLE\n"
        "print(precompute.__file__, len(list(PROMPT_SETS.glob('*.toml'))), MESH_TABLE.is_file(), DEMO_ENCODER)"
    )
    (line,) = run(installed, tmp_path, "-c", code).splitlines()
    encoder = installed / "explorer/app/encoders/phantom-clip"
    assert line == f"{installed / 'precompute/__init__.py'} 4 True {encoder}"
    assert "Phantom-CLIP" in locate(f"local-dir:{encoder}").title


LEFT_OUT = (*MODEL_LIBRARIES, "sklearn", "cleanlab", "huggingface_hub", "typer", "rich")
"""What requirements.txt has and requirements-viewer.txt lacks, by the names of the modules."""
WALK = """
import sys
from importlib.abc import MetaPathFinder

class NotInstalled(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from streamlit.testing.v1 import AppTest
from explorer.environment import APP
from explorer.ui.shared.frame import FIRST, PAGES

app = AppTest.from_file(str(APP / "streamlit_app.py"), default_timeout=120)

def drawn(file, **query):
    app.query_params.clear()
    for name, text in query.items():
        app.query_params[name] = text
    app.switch_page(file).run()
    assert not app.exception and not app.error, (file, app.exception, app.error)
    return app

for file, _ in (FIRST, *sum(PAGES.values(), ())):
    print(drawn(file).title[0].value)
for file, query in (
    ("pages/grad_cam.py", {"show": "regimes", "method": "layer_cam", "cam": "true"}),
    ("pages/neighbours.py", {"by": "words", "prompts": ".own", "text": "a large heart"}),
):
    drawn(file, **query)
    print(any("pip install -r requirements.txt" in info.value.replace("\\\\", "") for info in app.info))
print("matplotlib" in sys.modules)
"""


def walk(python: str, installed: Path, folder: Path, store: Path) -> None:
    """Open every page without what a viewer lacks; what would compute says what to install."""
    out = run(installed, folder, "-c", WALK, ",".join(LEFT_OUT), python=python, EXPLORER_STORE=str(store))
    *titles, by_map, by_words, matplotlib = out.splitlines()
    assert sorted(titles) == sorted(TITLES.values())
    assert (by_map, by_words, matplotlib) == ("True", "True", "False")


def test_the_app_of_the_wheel_draws_every_page_without_the_model_libraries(
    installed: Path, tmp_path: Path, tiny_store: Path
) -> None:
    walk(sys.executable, installed, tmp_path, tiny_store)
    assert "streamlit run" in run(installed, tmp_path, "-m", "explorer", "--help")
    assert files_below(tmp_path) == set(), "an empty folder stays empty"


@pytest.mark.skipif(not IN_DEPTH, reason="installs a gigabyte: make test-viewer and make fuzz do")
def test_the_viewers_list_of_packages_is_enough(installed: Path, tmp_path: Path, tiny_store: Path) -> None:
    venv.create(tmp_path / "viewer", with_pip=True)
    python = str(tmp_path / "viewer" / ("Scripts" if os.name == "nt" else "bin") / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", str(ROOT / "requirements-viewer.txt")], check=True)
    packages = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout.lower()
    assert not {"torch", "timm", "transformers", "umap-learn", "numba", "grad-cam"} & set(packages.split())
    walk(python, installed, tmp_path, tiny_store)


def test_no_package_has_two_versions() -> None:
    lines = [line for name in ("requirements.txt", "requirements-viewer.txt") for line in (ROOT / name).open()]
    names = [line.split("==")[0] for line in lines if "==" in line]
    assert len(names) == len(set(names)) > 20
