"""A store whose every text tries to be more than text, and where on a page that shows."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

from explorer.data.regions import with_shape
from explorer.store.files import sha256_file
from explorer.store.layout import reviews_file
from explorer.store.marks import add_marks
from explorer.store.reader import Store
from explorer.store.reviews import Review, add_review
from explorer.store.runs import open_store

HOST = "host.invalid"
PLANTS = {
    "image": f"![x](http://{HOST}/x.png)",
    "link": f"[click](https://{HOST}/)",
    "bare link": f"https://{HOST}/bare",
    "bare domain": f"www.{HOST}",
    "mail": f"a@{HOST}",
    "colour": ":red[x]",
    "icon": ":material/home:",
    "emoji": ":smile:",
    "formula": "$x^2$",
    "img": f"<img src=http://{HOST}/i.png>",
    "a": f'<a href="http://{HOST}/">y</a>',
    "override": "b\u202ea +7 −2",
    "zero width": "b\u200ba",
    "new line": "b\n# a",
    "table": "|a|b|",
    "code": "`a` ``b``",
    "bold": "**a** _b_ ~c~",
    "long": "L" * 250,
}
KINDS = tuple(PLANTS)
READ_AS = {
    "image": "[x](",
    "link": "[click](",
    "bare link": f"https://{HOST}",
    "bare domain": f"www.{HOST}",
    "mail": f"a@{HOST}",
    "colour": ":red[",
    "icon": ":material/home:",
    "emoji": ":smile:",
    "formula": "$x^2$",
    "img": "<img src=http",
    "a": "<a ",
    "override": "\u202e",
    "zero width": "\u200b",
    "new line": "b\n# a",
    "table": "|a|b|",
    "code": "`a`",
    "bold": "**a**",
    "long": "L" * 100,
}
"""What of a plant is read as Markdown, hides, or takes too much room."""
IN_HTML = ("img", "a", "override", "zero width")
HIDDEN = ("override", "zero width", "new line")
NOT_MARKDOWN = re.compile(r"(^|_)(options|placeholder|alt|src|file_name|name)$")
"""Fields of Streamlit's messages that hold no Markdown."""
NOT_SHOWN = re.compile(r"(^|_)(ids?|key|url|query_string|hash|default|values?)$")
"""Fields that nobody sees, or that a box holds for its visitor to edit."""
NO_ROOM_TAKEN = ("help", "tooltip")


def plant_store(tiny_store: Path, root: Path) -> Store:
    """A copy of the tiny store with a plant in every label, id, report, prompt, name, origin, mark and review."""
    source = open_store(tiny_store)
    shutil.copytree(source.path, root / source.path.name)
    shutil.copytree(tiny_store / "films", root / "films")
    planted = _plan(source)
    run = root / source.path.name
    for file in run.rglob("*.json"):
        if file.name not in ("manifest.json", "encoder.json"):
            file.write_text(json.dumps(_renamed(json.loads(file.read_text()), planted)), encoding="utf-8")
    for file in run.rglob("*.parquet"):
        frame = pd.read_parquet(file)
        if file.name == "skipped.parquet":
            frame = pd.DataFrame({"image": list(PLANTS.values()), "reason": list(PLANTS.values())})
        if file.name == "samples.parquet":
            frame.loc[frame.index[: len(KINDS)], "report"] = [text[:99] for text in PLANTS.values()]
            frame.loc[frame.index[-len(KINDS) :], "view"] = list(PLANTS.values())
        frame = frame.rename(columns=lambda name: planted.get(name, name))
        for column in frame.columns:
            if not pd.api.types.is_numeric_dtype(frame[column]):
                frame[column] = frame[column].map(
                    lambda cell: planted.get(cell, cell) if isinstance(cell, str) else cell
                )
        frame.to_parquet(file, index=False)
    _write_manifest(run, planted)
    store = open_store(root)
    _mark_and_review(store)
    return store


def _plan(source: Store) -> dict[str, str]:
    """Every text to what takes its place."""
    names = [
        [label for label in source.labels if label != "No Finding"],
        *(source.samples[column].unique().tolist() for column in ("sample_id", "patient_id", "study_id")),
        source.tables.annotations["annotator"].unique().tolist(),
        [name for name in source.audit.attribute_facts["kinds"] if name != "device"],
        list(source.texts),
    ]
    return {
        name: f"{PLANTS[KINDS[(shift + place) % len(KINDS)]]} {name}"
        for shift, group in enumerate(names)
        for place, name in enumerate(group)
    }


def _renamed(value: Any, planted: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {planted.get(key, key): _renamed(one, planted) for key, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, planted) for one in value]
    return planted.get(value, value) if isinstance(value, str) else value


def _write_manifest(run: Path, planted: dict[str, str]) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    everything = " ".join(text for kind, text in PLANTS.items() if kind != "long")
    manifest["labels"] = [planted.get(label, label) for label in manifest["labels"]]
    manifest["title"] = everything
    dataset = manifest["dataset"]
    for field in ("name", "licence", "source", "label_origin", "split_origin"):
        dataset[field] = everything
    for encoder in manifest["encoders"]:
        encoder["title"] = encoder["licence"] = everything
    for prompt_set, kind in zip(manifest["prompt_sets"], ("image", "link", "colour", "a"), strict=True):
        prompt_set["title"] = PLANTS[kind]
    for name, facts in manifest["artefacts"].items():
        facts.update(bytes=(run / name).stat().st_size, sha256=sha256_file(run / name))
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _mark_and_review(store: Store) -> None:
    own = with_shape(store.tables.annotations).drop_duplicates("row")
    for place, kind in enumerate(KINDS):
        if kind == "long":
            continue
        mark = own.iloc[[place % len(own)]]
        add_marks(store, mark.assign(annotator=PLANTS[kind]), "app")
        review = Review(
            sample_id=str(store.samples["sample_id"].iat[place]),
            label=store.labels[1 + place % 13],
            verdict="wrong",
            given=1,
            note=PLANTS[kind],
            reviewer=PLANTS[kind],
        )
        add_review(reviews_file(store.path.parent, store.manifest.run_id), review)


# --- what a page shows -----------------------------------------------------------------------------------------------


def read_plants(app: AppTest) -> dict[str, str]:
    """The kinds of plants that a page would not show as they are written, each with a text that has one."""
    seen: dict[str, str] = {}
    for where, text, kinds in _texts(app):
        for kind in kinds:
            takes_no_room = kind == "long" and where.endswith(NO_ROOM_TAKEN)
            if re.search(rf"(?<!\\){re.escape(READ_AS[kind])}", text) and not takes_no_room:
                seen.setdefault(kind, f"{where}: {text[:300]!r}")
    return seen


def _texts(app: AppTest) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Where, text and the kinds of plants that would mean something there."""
    for node in app._tree:
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            yield from _of_message(proto, proto.DESCRIPTOR.name)
    for frame in app.dataframe:
        for column in frame.value.columns:
            yield "header of a table", str(column), ("long", *HIDDEN)
            yield from (("cell", cell, HIDDEN) for cell in frame.value[column] if isinstance(cell, str))


def _of_message(message: Message, where: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for field, value in message.ListFields():
        path = f"{where}.{field.name}"
        values = list(value) if field.is_repeated else [value]
        for one in values:
            if isinstance(one, Message):
                yield from _of_message(one, path)
            elif isinstance(one, str) and path.endswith("PlotlyChart.spec"):
                yield from _of_figure(json.loads(one), path, ())
            elif isinstance(one, str) and path.endswith("Html.body"):
                yield path, one, (*IN_HTML, "new line")
            elif isinstance(one, str) and not one.startswith("{") and not NOT_SHOWN.search(field.name):
                yield path, one, HIDDEN if NOT_MARKDOWN.search(field.name) else KINDS


def _of_figure(value: Any, where: str, keys: tuple[str, ...]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """plotly reads HTML in every text; on axes, in legends and in annotations a long one takes the chart's room."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _of_figure(one, where, (*keys, key))
    elif isinstance(value, list):
        for one in value:
            yield from _of_figure(one, where, keys)
    elif isinstance(value, str):
        pointed_at = {"customdata", "text", "hovertext"} & set(keys) and "annotations" not in keys
        yield ".".join((where, *keys)), value, IN_HTML if pointed_at else (*IN_HTML, "long")


def said_as_written(text: str) -> str:
    """A page's text without the joiners that part what would be a link."""
    return text.replace("\u2060", "")


VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("overview", {}),
    ("overview", {"figures": "true"}),
    ("dataset", {}),
    ("map", {"colour": "Cluster", "signs": "Prompts"}),
    ("map", {"colour": "Several labels"}),
    ("map", {"filter": "negative"}),
    ("separability", {"table": "true", "details": "true"}),
    ("separability", {"part": "confused", "space": "Decision (logits)"}),
    ("separability", {"part": "spaces"}),
    ("board", {"add": "true"}),
    ("neighbours", {}),
    ("neighbours", {"by": "Words"}),
    ("neighbours", {"show": "How good the lists are"}),
    ("neighbours", {"show": "Prompt lab"}),
    *(("pr_curves", {"view": view, "few": "1"}) for view in ("Overview", "One label", "Thresholds", "Calibration")),
    *(("pr_curves", {"view": view, "few": "1"}) for view in ("Together", "Report")),
    *(("pr_curves", {"view": view, "how": "true"}) for view in ("triage", "elsewhere")),
    ("pr_curves", {"view": "abstain", "table": "true"}),
    *(("grad_cam", {"show": view}) for view in ("Regimes", "Every label", "Agreement", "Sanity checks", "Mark")),
    *(
        ("audit", {"audit": view})
        for view in ("Leaks", "Shortcuts", "subgroups", "slices", "Out of distribution", "Hard cases")
    ),
    ("audit", {"audit": "Label errors", "show": "all"}),
    ("protocols", {"table": "true", "details": "true"}),
    ("protocols", {"part": "changes"}),
    ("protocols", {"part": "training"}),
)
"""Every view of every page but Case, which the tests open for every kind of plant."""
