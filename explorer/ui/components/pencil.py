"""A film to draw boxes on in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import streamlit as st

from explorer.data.regions import with_shape
from explorer.figures.overlay import Box
from explorer.ui.components.modules import joined
from explorer.ui.components.viewer import FILM_CSS, Film, Pane, film_html, films_data, shapes_to_draw

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_HERE = Path(__file__)
_TOOLS = """
<button class="undo" type="button" title="Undo (Ctrl + Z)">Undo</button>
<button data-tool="draw" type="button" title="Draw (D)">Draw</button>
"""
_CONFIRM = """
<div class="confirm" role="alertdialog" aria-label="Delete this mark?" hidden>
  Delete this mark?
  <button class="delete" type="button">Delete</button>
  <button class="keep" type="button">Keep</button>
</div>
"""
_pencil = st.components.v2.component(
    "film_pencil",
    html=film_html(_TOOLS, _CONFIRM),
    css=FILM_CSS + _HERE.with_suffix(".css").read_text(encoding="utf-8"),
    js=joined(_HERE.with_suffix(".js")),
)
_ANSWERED = "pencil_answered"

Does = Literal["draw", "undo", "delete"]


@dataclass(frozen=True)
class Act:
    """What a reader did on a film.

    Attributes
    ----------
    film : str
        The film's id: another film may be open by the time the act arrives. So may another label.
    box : x, y, w, h
        What was drawn, in the film's pixels; None for the other acts.
    mark : str
        The id of the mark to delete; empty for the other acts.
    """

    does: Does
    film: str
    label: str
    box: Box | None
    mark: str


def acts_after(asked: object, answered: int) -> list[tuple[int, Act]]:
    """The acts that the browser asks for and that were not done yet, each with its number.

    Examples
    --------
    >>> old = {"id": 4, "does": "undo", "film": "a", "label": "Edema"}
    >>> new = {"id": 5, "does": "draw", "film": "a", "label": "Edema", "box": [1, 2, 3, 4]}
    >>> [(number, act.does, act.box) for number, act in acts_after([old, new, "nonsense"], 4)]
    [(5, 'draw', (1.0, 2.0, 3.0, 4.0))]
    """
    numbered = [(each["id"], _act(each)) for each in asked if _is_act(each)] if isinstance(asked, list) else []
    return [(number, act) for number, act in numbered if number > answered]


def _is_act(each: Any) -> bool:
    if not isinstance(each, dict) or not isinstance(each.get("id"), int) or each.get("does") not in get_args(Does):
        return False
    box = each.get("box")
    numbers = isinstance(box, list) and len(box) == 4 and all(isinstance(side, (int, float)) for side in box)
    return numbers if each["does"] == "draw" else box is None


def _act(each: dict[str, Any]) -> Act:
    film, label, mark = (str(each.get(name, "")) for name in ("film", "label", "mark"))
    box = None if each.get("box") is None else cast("Box", tuple(float(side) for side in each["box"]))
    return Act(each["does"], film, label, box, mark)


def pencil(
    film: Film,
    shapes: pd.DataFrame,
    label: str,
    pen: tuple[str, bool] | None,
    on_act: Callable[[Act], None],
) -> None:
    """Draw a film that boxes can be drawn on.

    Parameters
    ----------
    film : Film
        Its own pixels are the units of all boxes.
    shapes : DataFrame
        Annotations to show, with ``colour``.
    label : str
        Of the boxes drawn.
    pen : annotator, bool; or None
        Who draws, and whether there is something to undo. None: the film can be looked at only.
    on_act : callable
        Called once with each act, in order. What it saved stands in ``shapes`` when the page runs next.
    """

    def finished() -> None:
        for number, act in acts_after(st.session_state["pencil"].acts, st.session_state.get(_ANSWERED, 0)):
            on_act(act)
            st.session_state[_ANSWERED] = number

    drawn = with_shape(shapes)
    own = drawn["mark_id"].ne("") & drawn["annotator"].eq(pen[0] if pen else "")
    marks: list[dict[str, object]] = [
        {**one, "mark": mark, "own": mine}
        for one, mark, mine in zip(shapes_to_draw(shapes), drawn["mark_id"].tolist(), own.tolist(), strict=True)
    ]
    _pencil(
        key="pencil",
        data={
            **films_data([Pane(film, marks=marks)]),
            "label": label,
            "pen": pen is not None,
            "undo": pen is not None and pen[1],
            "answered": st.session_state.get(_ANSWERED, 0),
        },
        on_acts_change=finished,
    )
