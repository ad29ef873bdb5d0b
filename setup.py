"""What pyproject.toml cannot say of packaging: what lies at the top of a checkout is installed as explorer/app."""

from collections.abc import Iterator
from pathlib import Path

from setuptools import find_namespace_packages, setup


def pins(file: str) -> Iterator[str]:
    """The packages of a list and of those it includes, which pyproject.toml cannot read."""
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            yield from pins(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            yield line


setup(
    script_name="setup.py",  # so that this file is not taken for a module of the app
    install_requires=list(pins("requirements.txt")),
    packages=[*find_namespace_packages(include=["explorer*", "precompute*"]), "explorer.app"],
    package_dir={"explorer.app": "."},
    package_data={
        "": ["*.css", "*.html", "*.js", "*.toml"],
        "explorer.app": [".streamlit/config.toml", "encoders/*/*", "pages/*.py"],
    },
    exclude_package_data={"explorer.app": ["pyproject.toml"]},
    include_package_data=False,
)
