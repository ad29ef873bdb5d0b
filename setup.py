"""What pyproject.toml cannot say of packaging: what lies at the top of a checkout is installed as explorer/app."""

from setuptools import find_namespace_packages, setup

setup(
    script_name="setup.py",  # so that this file is not taken for a module of the app
    packages=[*find_namespace_packages(include=["explorer*", "precompute*"]), "explorer.app"],
    package_dir={"explorer.app": "."},
    package_data={
        "": ["*.css", "*.html", "*.js", "*.toml"],
        "explorer.app": [".streamlit/config.toml", "encoders/*/*", "pages/*.py"],
    },
    exclude_package_data={"explorer.app": ["pyproject.toml"]},
    include_package_data=False,
)
