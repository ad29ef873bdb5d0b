"""A run's reporting sheet: two checklists as Markdown, and a model card in the form of RSNA ATLAS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from precompute.publish.card import counts, plain_text, table
from precompute.run.summary import as_markdown, as_table
from precompute.sheet.facts import facts
from precompute.sheet.items import CLAIM, TRIPOD_AI, Item

if TYPE_CHECKING:
    from explorer.store.reader import Store
    from precompute.sheet.items import Fact

ATLAS_SCHEMA = "https://atlas.rsna.org/schemas/2025-11/model.json"
RESEARCH_ONLY = "Research use only. Not a medical device; no regulatory clearance."


def as_sheet(store: Store) -> str:
    """The sheet as Markdown: figures, then every item of CLAIM 2024 and TRIPOD+AI, answered or named as blank."""
    answers = facts(store)
    return (
        "\n\n".join(
            (
                f"# Reporting sheet: {plain_text(store.manifest.title)}",
                f"**{RESEARCH_ONLY}**",
                f"Run {store.run_id}. Answers are read from the run; nothing is guessed. Topics are in short; the "
                "guidelines' own wording counts.",
                "## Counts",
                counts(store),
                "## Figures",
                as_markdown(as_table(store)),
                *_checklist("CLAIM 2024", CLAIM, answers),
                *_checklist("TRIPOD+AI", TRIPOD_AI, answers),
            )
        )
        + "\n"
    )


def as_atlas(store: Store) -> dict[str, Any]:
    """A model card of RSNA ATLAS's schema; what the run cannot know is an empty text, for its authors to fill."""
    answers = facts(store)
    return {
        "$schema": ATLAS_SCHEMA,
        "Model": {
            "Name": store.manifest.title,
            "Link": "",
            "Indexing": {"Content": ["XR", "CH"]},
            "Descriptors": {
                "Authors": [],
                "Organizations": [],
                "Funding": "",
                "Ethical review": "",
                "References": [],
            },
            "Imaging": {"Modalities": ["Chest radiography"], "Procedures": [], "Comments": answers["pixels"]},
            "Model properties": {
                "Architecture": answers["model"],
                "Sustainability": f"Hardware: {store.manifest.device}. "
                f"Time: {sum(store.manifest.seconds.values()):,.0f} s for the whole run.",
                "Limitations": f"{answers['missing']} {answers['imbalance']} {answers['robustness']}",
                "Indications for use": RESEARCH_ONLY,
                "Regulatory information": {"Comment": RESEARCH_ONLY},
                "Use": ["Classification"],
                "Availability": "",
                "Dataset": f"{answers['data']} {answers['films']}",
                "Validation": "internal",
            },
            "Model performance": {"Metrics": [answers["measures"]], "Comments": as_markdown(as_table(store))},
        },
    }


def _checklist(name: str, items: Sequence[Item], answers: dict[Fact, str]) -> tuple[str, str, str]:
    rows = [(item.number, item.topic, plain_text(_answer(item, answers))) for item in items]
    blank = [item.number for item in items if not _answer(item, answers)]
    left = f"Blank, since no run can know them: {', '.join(blank)}."
    return f"## {name}", left, table(("item", "topic", "answer"), rows)


def _answer(item: Item, answers: dict[Fact, str]) -> str:
    return "" if item.fact is None else answers.get(item.fact, "")
