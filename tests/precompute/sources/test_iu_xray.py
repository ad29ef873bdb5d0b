"""IU-Xray: the real reports' counts, both layouts on small folders of the same shape, both origins of labels."""

from __future__ import annotations

import json
import math
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from explorer.data.labels import CHEXPERT_LABELS, Uncertain
from explorer.errors import UserError
from explorer.store import open_store
from explorer.store.verify import verify_store
from precompute.__main__ import app
from precompute.sources import check_source
from precompute.sources.iu_xray import IuXrayOptions, read_iu_xray, read_reports
from precompute.sources.mesh import mesh_table, mesh_targets
from tests.conftest import SHARED, Call

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{uid}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="FINDINGS">{findings}</AbstractText><AbstractText Label="IMPRESSION">Stable.</AbstractText>
</Abstract></Article></MedlineCitation><MeSH>{mesh}</MeSH>{images}</eCitation>"""

REPORTS = {  # uid: headings, films
    "1": (["normal"], ["1_IM-0001-3001", "1_IM-0001-4001"]),
    "2": (["Cardiomegaly/mild", "Pleural Effusion/left"], ["2_IM-0652-1001"]),
    "10": (["No Indexing"], ["10_IM-0002-1001"]),
    "11": (["normal"], []),
}
PROJECTIONS = """uid,filename,projection
1,1_IM-0001-3001.dcm.png,Lateral
1,1_IM-0001-4001.dcm.png,Frontal
2,2_IM-0652-1001.dcm.png,Frontal
10,10_IM-0002-1001.dcm.png,Frontal
"""
LABELLER = f"uid,{','.join(CHEXPERT_LABELS)}\n1,{',' * 13}\n2,,-1,1{',' * 11}\n10,,,1{',' * 11}\n"


def open_i(root: Path) -> Path:
    (root / "ecgen-radiology").mkdir(parents=True)
    (root / "NLMCXR_png").mkdir()
    for uid, (mesh, films) in REPORTS.items():
        text = XML.format(
            uid=uid,
            findings="Clear lungs." if uid != "2" else "",
            mesh="".join(f"<major>{heading}</major>" for heading in mesh),
            images="".join(f'<parentImage id="CXR{uid}_{film}"/>' for film in films),
        )
        (root / f"ecgen-radiology/{uid}.xml").write_text(text)
        for film in films:
            Image.new("L", (40, 30), 90).save(root / f"NLMCXR_png/CXR{uid}_{film}.png")
    (root / "indiana_projections.csv").write_text(PROJECTIONS)
    return root


def kaggle(root: Path) -> Path:
    (root / "images/images_normalized").mkdir(parents=True)
    rows = ["uid,MeSH,Problems,image,indication,comparison,findings,impression"]
    for uid, (mesh, films) in REPORTS.items():
        if films:
            rows.append(f"{uid},{';'.join(mesh)},,film,,,{'Clear lungs.' if uid != '2' else ''},Stable.")
        for film in films:
            Image.new("L", (40, 30), 90).save(root / f"images/images_normalized/{film}.dcm.png")
    (root / "indiana_reports.csv").write_text("\n".join(rows) + "\n")
    (root / "indiana_projections.csv").write_text(PROJECTIONS)
    return root


@pytest.mark.parametrize("layout", [open_i, kaggle])
def test_both_layouts_give_the_same_samples(tmp_path: Path, layout: object) -> None:
    source = read_iu_xray(IuXrayOptions(root=layout(tmp_path / "iu")))  # type: ignore[operator]
    frame = source.frame
    assert frame["patient_id"].tolist() == ["1", "2", "10"]
    assert frame["view"].unique().tolist() == ["Frontal"]
    assert all((source.images / path).is_file() for path in frame["image"])
    assert frame["report"].tolist() == [
        "Findings: Clear lungs.\nImpression: Stable.",
        "Impression: Stable.",
        "Findings: Clear lungs.\nImpression: Stable.",
    ]
    assert frame["No Finding"].tolist()[:2] == [1, 0]
    assert frame.loc[1, ["Cardiomegaly", "Pleural Effusion", "Edema"]].tolist() == [1, 1, 0]
    assert frame.loc[2, list(CHEXPERT_LABELS)].isna().all(), "No Indexing is unknown, never negative"
    assert "MeSH" in source.label_origin


def test_laterals_on_request(tmp_path: Path) -> None:
    frame = read_iu_xray(IuXrayOptions(root=kaggle(tmp_path), views="all")).frame
    assert Counter(frame["view"]) == {"Frontal": 3, "Lateral": 1}
    assert frame.loc[frame["view"] == "Lateral", "patient_id"].tolist() == ["1"], "one study, one leakage unit"


def test_xml_alone_does_not_guess_the_view(tmp_path: Path) -> None:
    root = open_i(tmp_path)
    (root / "indiana_projections.csv").unlink()
    with pytest.raises(UserError) as caught:
        read_iu_xray(IuXrayOptions(root=root))
    assert "indiana_projections.csv" in caught.value.fix
    assert len(read_iu_xray(IuXrayOptions(root=root, views="all")).frame) == 4


@pytest.mark.parametrize(("uncertain", "value"), [("ignore", math.nan), ("zeros", 0.0), ("ones", 1.0)])
def test_a_labellers_file(tmp_path: Path, uncertain: Uncertain, value: float) -> None:
    root = open_i(tmp_path)
    (root / "labels.csv").write_text(LABELLER)
    source = read_iu_xray(IuXrayOptions(root=root, labels=root / "labels.csv", uncertain=uncertain))
    frame = source.frame.set_index("patient_id")
    assert frame.loc["1", "No Finding"] == 1, "no positive is No Finding"
    assert frame.loc["2", "Lung Opacity"] == 0, "not mentioned is negative in a labeller's file"
    assert frame.loc["2", "Cardiomegaly"] == 1
    np.testing.assert_equal(float(frame.loc["2", "Enlarged Cardiomediastinum"]), value)
    assert frame.loc["2", "No Finding"] == 0
    assert frame.loc["10", "Cardiomegaly"] == 1
    assert uncertain in source.label_origin


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LABELLER.replace("uid,", "study,", 1), "no column uid"),
        (LABELLER.replace("-1", "maybe"), "row 3: 'Enlarged Cardiomediastinum' is 'maybe'"),
        (LABELLER.replace("\n10,", "\n2,"), "row 4: report 2 is there twice"),
        ("\n".join(LABELLER.splitlines()[:3]) + "\n", "no row for 1 reports with films, the first 10"),
    ],
)
def test_a_bad_labellers_file(tmp_path: Path, text: str, said: str) -> None:
    root = open_i(tmp_path)
    (root / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_iu_xray(IuXrayOptions(root=root, labels=root / "labels.csv"))


def test_mesh_has_no_uncertain_cells(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no -1"):
        read_iu_xray(IuXrayOptions(root=open_i(tmp_path), uncertain="ones"))


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither"):
        read_iu_xray(IuXrayOptions(root=tmp_path))
    root = open_i(tmp_path / "iu")
    (root / "ecgen-radiology/2.xml").write_text("<eCitation>")
    with pytest.raises(UserError, match=r"2\.xml is not an Open-i report"):
        read_iu_xray(IuXrayOptions(root=root))
    other = kaggle(tmp_path / "kaggle")
    (other / "indiana_projections.csv").write_text(PROJECTIONS.replace("Lateral", "AP"))
    with pytest.raises(UserError, match="row 2: projection is 'AP'"):
        read_iu_xray(IuXrayOptions(root=other))


@pytest.mark.parametrize(
    ("mesh", "label", "value"),
    [
        (["Opacity/lung/base/left"], "Lung Opacity", 1),
        (["Opacity/thorax"], "Lung Opacity", math.nan),
        (["Airspace Disease/lung"], "Pneumonia", math.nan),
        (["Thickening/pleura/apex"], "Pleural Other", 1),
        (["Thickening/bronchi"], "Pleural Other", 0),
        (["Hydropneumothorax/left"], "Pneumothorax", 1),
        (["hydropneumothorax"], "Pleural Effusion", 1),
        (["Costophrenic Angle/left/blunted"], "Pleural Effusion", math.nan),
        (["Costophrenic Angle/left/blunted"], "No Finding", math.nan),
        (["Scoliosis"], "No Finding", 1),
        (["No Indexing"], "No Finding", math.nan),
        ([], "Edema", math.nan),
    ],
)
def test_mesh_to_labels(mesh: list[str], label: str, value: float) -> None:
    np.testing.assert_equal(mesh_targets(mesh)[CHEXPERT_LABELS.index(label)], value)


def test_the_mesh_table_has_every_label_but_no_finding() -> None:
    assert tuple(mesh_table()) == CHEXPERT_LABELS[1:]


def test_check_says_what_is_missing(tmp_path: Path) -> None:
    root = kaggle(tmp_path)
    (root / "images/images_normalized/2_IM-0652-1001.dcm.png").unlink()
    counts = {count.what: count for count in check_source("iu-xray", root)}
    assert (counts["films on disk"].found, counts["films on disk"].expected) == (3, 4)
    assert (counts["reports"].found, counts["reports"].expected) == (3, 3851)
    printed = CliRunner().invoke(app, ["check", "iu-xray", str(root), "--json"])
    records = json.loads(printed.stdout)
    assert {r["what"]: r["good"] for r in records}["films on disk"] is False
    assert isinstance(printed.exception, UserError)


def test_every_source_is_listed() -> None:
    printed = CliRunner().invoke(app, ["sources"]).stdout
    assert "iu-xray" in printed
    assert "CC BY-NC-ND" in printed


@pytest.mark.usefixtures("few_draws")
def test_all_three_regimes_from_the_sets_own_layout(small_encoder: Path, tmp_path: Path, call: Call) -> None:
    """The one documented command, on a small folder of Kaggle's layout with a labeller's file."""
    root = tmp_path / "iu"
    (root / "images/images_normalized").mkdir(parents=True)
    rng = np.random.default_rng(0)
    reports, projections, labels = (
        ["uid,MeSH,indication,comparison,findings,impression"],
        ["uid,filename,projection"],
        [],
    )
    for uid in range(1, 17):
        reports.append(f"{uid},normal,,,Clear.,Stable.")
        for view in ("Frontal", "Lateral"):
            name = f"{uid}_IM-0001-{view}.dcm.png"
            projections.append(f"{uid},{name},{view}")
            Image.fromarray(rng.integers(0, 256, (50, 40), dtype=np.uint8)).save(
                root / f"images/images_normalized/{name}"
            )
        labels.append(f"{uid},{','.join(str(int(rng.random() < 0.3)) for _ in CHEXPERT_LABELS)}")
    (root / "indiana_reports.csv").write_text("\n".join(reports) + "\n")
    (root / "indiana_projections.csv").write_text("\n".join(projections) + "\n")
    (root / "chexbert.csv").write_text("\n".join([f"uid,{','.join(CHEXPERT_LABELS)}", *labels]) + "\n")
    arguments = ["run", "--source", "iu-xray", "--root", root, "--labels", root / "chexbert.csv"]
    arguments += [
        "--encoder",
        f"local-dir:{small_encoder}",
        "--epochs",
        1,
        "--allow-empty",
        "--out",
        tmp_path / "s",
    ]
    code, _, err = call(*arguments)
    assert code == 0, err
    store = open_store(tmp_path / "s")
    assert store.manifest.dataset.name == "IU-Xray"
    assert "BY-NC-ND" in store.manifest.dataset.licence
    assert "chexbert.csv" in store.manifest.dataset.label_origin
    assert store.n == 16, "frontal films only"
    assert store.labels == CHEXPERT_LABELS
    assert verify_store(store) == []


def test_a_source_without_its_folder_is_told(call: Call) -> None:
    for source, option in (("iu-xray", "--root"), ("csv", "--csv")):
        code, _, err = call("run", "--source", source, "--encoder", "local-dir:encoders/phantom-clip")
        assert code == 1
        assert f"The source {source} needs {option}" in err


def test_the_real_reports(tmp_path: Path) -> None:
    archive = SHARED / "iu_xray/NLMCXR_reports.tgz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not here")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    counts = {count.what: count for count in check_source("iu-xray", tmp_path)}
    differs = {what for what, count in counts.items() if not count.good}
    assert differs == {"frontal films", "lateral films", "films on disk"}, "there are no films beside the reports"
    assert counts["films named"].found == 7470
    assert counts["reports with 2 films"].found == 3208
    reports = read_reports(tmp_path)
    assert [report.uid for report in reports[:2]] == ["1", "2"]
    assert len({report.uid for report in reports}) == 3955
