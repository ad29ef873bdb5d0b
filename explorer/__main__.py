"""``python -m explorer``, or ``cxr-explorer``: the app. Further arguments are those of ``streamlit run``."""

from __future__ import annotations

import sys

from streamlit.web.cli import main

from explorer.environment import APP


def start() -> None:
    """Run the app, with the settings beside it."""
    main(["run", str(APP / "streamlit_app.py"), *sys.argv[1:]], prog_name="streamlit")


if __name__ == "__main__":
    start()
