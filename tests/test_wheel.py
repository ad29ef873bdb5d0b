"""The wheel, built without a network and opened in an empty folder: all that a checkout has to run is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from explorer.model.hub import locate
from tests.conftest import ROOT
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
    texts = ("pyproject.toml", "setup.py", "requirements.txt", "requirements-remote.txt", "README.md", "LICENSE")
    for name in (*PACKAGES, *APP, *texts):
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


def run(installed: Path, folder: Path, *arguments: str, **environment: str) -> str:
    """What Python prints in a folder where it can find the installation and no checkout."""
    env = {**os.environ, "PYTHONPATH": str(installed), **environment}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
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


def test_the_app_of_the_wheel_draws_every_page_without_a_model_library(
    installed: Path, tmp_path: Path, tiny_store: Path
) -> None:
    """Only maps asked for on the Grad-CAM page load torch: a viewer with little memory serves all the rest."""
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "from explorer.environment import APP\n"
        "from explorer.ui.shared.frame import FIRST, PAGES\n"
        "app = AppTest.from_file(str(APP / 'streamlit_app.py'), default_timeout=120)\n"
        "for file, title in (FIRST, *sum(PAGES.values(), ())):\n"
        "    app.switch_page(file).run()\n"
        "    assert not app.exception and not app.error, (title, app.exception, app.error)\n"
        "    print(app.title[0].value)\n"
        "print(sorted({'torch', 'transformers', 'umap', 'numba', 'open_clip', 'matplotlib'} & set(sys.modules)))"
    )
    *titles, imported = run(installed, tmp_path, "-c", code, EXPLORER_STORE=str(tiny_store)).splitlines()
    assert sorted(titles) == sorted(TITLES.values())
    assert imported == "[]"
    assert "streamlit run" in run(installed, tmp_path, "-m", "explorer", "--help")
    assert files_below(tmp_path) == set(), "an empty folder stays empty"
