"""Pages opened without a browser, and what they show."""

from __future__ import annotations

import json
import re
from typing import Any

from streamlit.testing.v1 import AppTest, local_script_runner

import explorer.report.pages  # noqa: F401  (lets AppTest look for components once)
from tests.conftest import ROOT

_look_again_and_again = local_script_runner.require_widgets_deltas


def _wait_for_the_end(runner: local_script_runner.LocalScriptRunner, timeout: float = 3) -> None:
    """AppTest asks a thousand times a second whether a page has ended, which slows the page."""
    runner._script_thread.join(timeout)
    _look_again_and_again(runner, 0.1)


local_script_runner.require_widgets_deltas = _wait_for_the_end

TITLES = {
    "overview": "Overview",
    "map": "Map",
    "separability": "Separability",
    "board": "Board",
    "neighbours": "Neighbours",
    "pr_curves": "PR curves",
    "grad_cam": "Grad-CAM",
    "case": "Case",
    "dataset": "Data set",
    "audit": "Audit",
    "protocols": "Protocols",
}


def open_page(name: str, **query: str | list[str]) -> AppTest:
    """A page after its first run, opened by a link with these parameters."""
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(f"pages/{name}.py").run()


def open_sound_page(name: str, **query: str | list[str]) -> AppTest:
    """A page that must show neither an exception nor an error."""
    app = open_page(name, **query)
    assert_sound(app)
    return app


def as_read(text: str) -> str:
    """A Markdown text as a visitor reads it, as far as data in it was escaped."""
    return re.sub(r"\\([\\`*_\[\]<$~|:&+=#>.)-])", r"\1", text).replace("\u2060", "")


def said(app: AppTest) -> str:
    """All text of a page."""
    parts = [*app.title, *app.subheader, *app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    of_films = [f"{pane['title']}\n{pane['text']}\n{pane['remark']}" for pane in panes(app)]
    return "\n".join([as_read(str(part.value)) for part in parts] + of_films)


def panes(app: AppTest) -> list[dict[str, Any]]:
    """The films that a viewer shows, as the browser gets them."""
    shown = [part.proto for part in app.get("bidi_component")]
    sent = [json.loads(one.json) for one in shown if one.component_name.startswith("film_")]
    return [pane for data in sent for pane in data["panes"]]


def assert_sound(app: AppTest) -> None:
    assert not app.exception, app.exception
    assert not app.error, app.error


def assert_whole(app: AppTest, title: str) -> None:
    assert_sound(app)
    assert app.title[0].value == title
    assert said(app).count("Research use only. Not a medical device.") == 1


def sent(app: AppTest, component: str) -> dict[str, Any]:
    """What a component of the map got as JSON."""
    (part,) = [part for part in app.get("bidi_component") if part.proto.component_name.endswith(component)]
    data: dict[str, Any] = json.loads(part.proto.json or part.proto.mixed.json)
    return data


def address_of(app: AppTest) -> dict[str, list[str]]:
    """The complete address of what a page shows."""
    return {name: list(texts) for name, texts in app.session_state["view-state"].written.items()}
