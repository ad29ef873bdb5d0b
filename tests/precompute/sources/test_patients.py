"""Patients whose id is written in more than one way: warned about, joined, kept apart, or refused across splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import UserError
from precompute.sources.csv import CsvOptions, read_csv
from precompute.sources.patients import NAMED, PatientIds, patient_key, resolve_patients
from precompute.sources.table import Source

ONE_PATIENT = {
    "leading zeros": ("001", "1"),
    "decimal part of zeros": ("1", "1.0"),
    "zeros on both sides": ("0010", "10.00"),
    "case": ("P1", "p1"),
    "case of more letters": ("Straße", "STRASSE"),
    "full-width letters": ("P1", "\uff30\uff11"),
    "full-width number": ("\uff10\uff10\uff17", "7"),
    "zero-width space": ("p1", "p\u200b1"),
    "byte order mark": ("p1", "\ufeffp1"),
    "blanks within": ("P 1", "P  1"),
    "no-break space": ("P 1", "P\u00a01"),
    "accents": ("Ren\u00e9", "Rene\u0301"),
}
TWO_PATIENTS = {
    "another number": ("1", "10"),
    "another decimal": ("1.1", "1.10"),
    "zeros in a name": ("P1", "P01"),
    "a blank": ("P 1", "P1"),
    "an accent": ("Rene", "Ren\u00e9"),
    "a sign": ("1", "-1"),
    "nought": ("0", "00.1"),
}


def source(root: Path, *patients: str, splits: tuple[str, ...] = ()) -> Source:
    header = "image,patient_id,Edema" + (",split" if splits else "")
    ends = [f",{split}" for split in splits] or [""] * len(patients)
    rows = [f'{i}.png,"{patient}",1{end}' for i, (patient, end) in enumerate(zip(patients, ends, strict=True))]
    (root / "set.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return read_csv(CsvOptions(csv=root / "set.csv", images=root))


def resolved(films: Source, ids: PatientIds | None) -> tuple[Source, str]:
    warnings: list[str] = []
    return resolve_patients(films, ids, warnings.append), " ".join(warnings)


@pytest.mark.parametrize("spellings", ONE_PATIENT.values(), ids=ONE_PATIENT)
def test_spellings_of_one_patient_are_named_and_joined_on_request(tmp_path: Path, spellings: tuple[str, str]) -> None:
    one, other = spellings
    films = source(tmp_path, one, "q", other, other)
    kept, warning = resolved(films, None)
    assert kept is films
    assert f"{one!a} ({tmp_path / 'set.csv'} row 2) and {other!a} ({tmp_path / 'set.csv'} row 4)" in warning
    assert "--patients normalised" in warning
    assert "--patients exact" in warning
    joined, message = resolved(films, "normalised")
    assert joined.frame["patient_id"].tolist() == [one, "q", one, one]
    assert joined.sha256 != films.sha256, "a joined set is another set"
    assert f"{other!a}" in message
    assert resolved(films, "exact") == (films, "")


@pytest.mark.parametrize("patients", TWO_PATIENTS.values(), ids=TWO_PATIENTS)
def test_different_patients_stay_different(tmp_path: Path, patients: tuple[str, str]) -> None:
    assert patient_key(patients[0]) != patient_key(patients[1])
    films = source(tmp_path, *patients)
    for ids in (None, "normalised"):
        assert resolved(films, ids) == (films, "")  # type: ignore[arg-type]


def test_spellings_in_two_given_splits_are_refused_unless_exact(tmp_path: Path) -> None:
    films = source(tmp_path, "P1", "p1", "q", "Q", splits=("train", "test", "val", "val"))
    with pytest.raises(UserError, match=r"'P1' \(.*row 2, train\) and 'p1' \(.*row 3, test\)") as caught:
        resolved(films, None)
    assert "'Q'" not in caught.value.what, "both of its spellings are in one split"
    assert "--patients exact" in caught.value.fix
    with pytest.raises(UserError, match="1 patients cross splits"):
        resolved(films, "normalised")
    assert resolved(films, "exact") == (films, "")


def test_a_long_list_is_counted(tmp_path: Path) -> None:
    spellings = [s for i in range(NAMED + 2) for s in (f"p{i}", f"P{i}")]
    _, warning = resolved(source(tmp_path, *spellings), None)
    assert f"({NAMED + 2} such)" in warning
    assert "'P4'" in warning
    assert "'P5'" not in warning
    assert "and 2 more" in warning
