"""The reporting sheet says what the run says, and names what it leaves blank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from explorer.analysis.evidence import FEW
from explorer.store import layout, open_store
from precompute.sheet.facts import facts
from precompute.sheet.items import CLAIM, TRIPOD_AI, Fact
from precompute.sheet.sheet import as_atlas
from tests.conftest import run_command


def test_every_item_stands_once_in_its_order() -> None:
    assert [item.number for item in CLAIM] == [str(number) for number in range(1, 45)]
    numbers = [item.number for item in TRIPOD_AI]
    assert len(numbers) == len(set(numbers)) == 52
    assert sorted({int(number.rstrip("abcdefg")) for number in numbers}) == list(range(1, 28))
    assert {item.fact for item in (*CLAIM, *TRIPOD_AI)} - {None} == set(get_args(Fact))


def test_the_sheet_answers_what_the_run_knows_and_names_the_rest(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "sheet", tiny_store) == 0
    sheet, store = capsys.readouterr().out, open_store(tiny_store)
    answers = facts(store)
    for name, items in (("CLAIM 2024", CLAIM), ("TRIPOD+AI", TRIPOD_AI)):
        part = sheet.split(f"## {name}\n")[1].split("\n## ")[0]
        rows = {row.split(" | ")[0].strip("| "): row for row in part.splitlines() if row.startswith("| ")}
        blank = [item.number for item in items if item.fact is None or item.fact not in answers]
        assert f"Blank, since no run can know them: {', '.join(blank)}." in part
        assert [number for number, row in rows.items() if row.endswith("|  |")] == blank
    assert store.run_id in sheet
    assert store.manifest.encoders[0].weights_sha256 in sheet


def test_wrong_predictions_are_counted_over_known_labels(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    regime, rows = store.regimes[0], store.rows("test")
    thresholds = store.threshold_array(regime.name)
    false_positives = false_negatives = 0
    for row in rows:
        for target, logit, threshold in zip(
            store.targets[row], store.logits(regime.name)[row], thresholds, strict=True
        ):
            false_positives += bool(target == 0 and logit >= threshold)
            false_negatives += bool(target == 1 and not logit >= threshold)
    expected = f"{regime.title} {false_positives:,} false positives and {false_negatives:,} false negatives"
    assert expected in facts(store)["failures"]


def test_unknown_labels_are_counted_and_shared_patients_are_told(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    unknown = int(np.isnan(store.targets).sum())
    assert facts(store)["missing"].startswith(f"{unknown:,} of {store.targets.size:,} labels are unknown.")
    assert facts(store)["split level"] == "Patients: none is in two parts."
    store.samples.loc[[store.rows("train")[0], store.rows("test")[0]], "patient_id"] = "one"
    assert facts(store)["split level"] == "Films. Patients in more than one part: 1."


def test_gaps_and_refitted_probabilities_are_those_of_the_tables(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    answers = facts(store)
    gaps = store.tables.subgroup_gaps
    gaps = gaps[(gaps["split"] == "test") & gaps["gap"].notna()]
    assert f"Of {len(gaps):,} gaps" in answers["fairness"]
    frame = store.tables.calibration
    ece = frame[(frame["split"] == "test") & (frame["metric"] == "ece") & (frame["method"] == "platt")]
    mean = ece[(ece["regime"] == "zero_shot") & (ece["n_pos"] >= FEW)]["value"].mean()
    assert f"platt {mean:.3f}" in answers["updated figures"].split(";")[0]
    for file, fact in ((layout.SUBGROUP_GAPS, "fairness"), (layout.CALIBRATION, "updated figures")):
        del store.manifest.artefacts[file]
        assert fact not in facts(store), "of a run that has no such file"


def test_the_atlas_card_claims_nothing_that_the_run_cannot_know(tiny_store: Path) -> None:
    model = as_atlas(open_store(tiny_store))["Model"]
    assert json.loads(json.dumps(model)) == model
    assert model["Descriptors"] == {
        "Authors": [],
        "Organizations": [],
        "Funding": "",
        "Ethical review": "",
        "References": [],
    }
    assert model["Model properties"]["Indications for use"].startswith("Research use only.")
    assert model["Model properties"]["Validation"] == "internal"
