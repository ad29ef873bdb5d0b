"""The command line as a user meets it: messages and never a traceback, kills and restarts."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import precompute.__main__ as command
from explorer.analysis.metrics import MACRO_ALL, METRICS
from explorer.errors import UserError
from explorer.store import list_runs, open_store
from explorer.store.progress import read_progress
from explorer.store.verify import verify_store
from explorer.tables.results import mean_of_labels
from precompute.commands.options import DEFAULT_REGIMES
from precompute.pipeline import stages_of
from precompute.regimes import choose_recipes, linear_probe
from precompute.settings import Settings
from tests.conftest import FEWEST, ROOT, Call, take_few_draws

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

ENCODER = f"local-dir:{ROOT / 'encoders' / 'phantom-clip'}"


def assert_told(result: tuple[int, str, str], *words: object) -> None:
    code, _, err = result
    assert code == 1
    assert "Traceback" not in err
    assert sum(line.startswith("Error ") for line in err.splitlines()) == 1
    assert "Fix" in err
    for word in words:
        assert str(word) in err


def asked(folder: Path, out: Path, *more: object) -> list[object]:
    """The arguments of a run over a folder of few films."""
    given = ["run", "--csv", folder / "labels.csv", "--images", folder / "images", "--encoder", ENCODER]
    return [*given, "--out", out, "--epochs", 1, "--device", "cpu", *more]


@pytest.fixture
def films(few_films: Path, tmp_path: Path) -> Path:
    """A copy of the few films that may be spoiled."""
    return Path(shutil.copytree(few_films, tmp_path / "films"))


# --- help ----------------------------------------------------------------------------------------------------

COMMANDS = [info.name or info.callback.__name__ for info in command.app.registered_commands if info.callback]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help(call: Call, name: str) -> None:
    code, out, _ = call(*[name] if name else [], "--help")
    assert code == 0
    assert "Usage" in out
    if not name:
        assert all(other in out for other in COMMANDS)


def test_every_command_and_option_is_explained() -> None:
    import typer

    group = typer.main.get_command(command.app)
    assert set(COMMANDS) == {
        "demo",
        "run",
        "import",
        "sources",
        "check",
        "verify",
        "summary",
        "phantom",
        "pretrain",
        "pack-encoder",
        "saliency",
        "annotate",
        "doctor",
        "timings",
        "gc",
        "delete",
        "publish",
        "export",
        "report",
        "sheet",
        "regimes",
        "few-shot",
    }
    unexplained = []
    for name, one in group.commands.items():  # type: ignore[attr-defined]
        assert one.help, name
        unexplained += [
            f"{name} {p.opts[0]}" for p in one.params if p.opts[0].startswith("-") and not p.help and p.name != "help"
        ]
    assert unexplained in ([], ["pretrain --epochs"])


def test_no_command_shows_the_help_and_an_unknown_option_is_told(call: Call) -> None:
    code, out, err = call()
    assert "Usage" in out + err
    code, _, err = call("run", "--nonsense")
    assert code == 2
    assert "--nonsense" in err


def test_help_verify_and_summary_need_no_torch() -> None:
    code = "import sys, precompute.__main__; print(sorted({'torch', 'umap', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- a user's errors -----------------------------------------------------------------------------------------


def test_bad_csvs(call: Call, films: Path, tmp_path: Path) -> None:
    csv = films / "labels.csv"
    good = csv.read_text()
    for bad, words in {
        "": ["no rows"],
        good.replace("3.png,p3,train,1", "3.png,p3,train,maybe"): ["row 5", "'maybe'", "--ignore"],
        good.replace("p15,test", "p0,test"): ["'p0'", "row 2", "row 17"],
        good.replace("p15,test", "P0,test"): ["'p0'", "row 2", "'P0'", "row 17", "--patients exact"],
        good.replace("9.png", "8.png"): ["row 10 and", "row 11 have the same image", "8.png"],
        good.replace("0.png", "../labels.csv", 1): ["row 2", "leaves"],
    }.items():
        csv.write_text(bad)
        assert_told(call(*asked(films, tmp_path / "out")), csv, *words)
    assert not (tmp_path / "out").exists()


def test_patients_written_in_several_ways_are_told_before_the_encoder_loads(
    call: Call, films: Path, tmp_path: Path
) -> None:
    csv = films / "labels.csv"
    csv.write_text(csv.read_text().replace("p1,train", "P0,train"))
    given = ["nonsense" if argument == ENCODER else argument for argument in asked(films, tmp_path / "out")]
    for ids, words in {None: "--patients normalised", "normalised": "Joined as one patient", "exact": ""}.items():
        result = call(*given, *(["--patients", ids] if ids else []))
        assert_told(result, "'nonsense'", words)
        assert ("written in several ways" in result[2]) == (ids != "exact")


def test_bad_films(call: Call, films: Path, tmp_path: Path) -> None:
    images = films / "images"
    half = (images / "1.png").read_bytes()[:300]
    for spoil, why in [(None, "missing"), (half, "truncated")]:  # test_images has every kind
        (images / "3.png").unlink(missing_ok=True)
        if spoil is not None:
            (images / "3.png").write_bytes(spoil)
        assert_told(call(*asked(films, tmp_path / "out")), "labels.csv row 5", images / "3.png", why, "--skip-bad")
    assert list_runs(tmp_path / "out") == []
    state, message = ended_as(tmp_path / "out")
    assert state == "failed"
    assert "row 5" in message
    for image in images.iterdir():
        image.write_bytes(b"")
    assert_told(call(*asked(films, tmp_path / "out", "--skip-bad")), "None of the 16 images")


def test_no_positive_in_a_split(call: Call, films: Path, tmp_path: Path) -> None:
    csv = films / "labels.csv"
    text = csv.read_text()
    csv.write_text("\n".join(line[:-1] + "0" if "val" in line else line for line in text.splitlines()))
    assert_told(call(*asked(films, tmp_path / "out")), csv, "'Fracture' has none in val", "--allow-empty")
    csv.write_text("\n".join(line for line in text.splitlines() if "val" not in line))
    assert_told(call(*asked(films, tmp_path / "out", "--allow-empty")), csv, "none is in val")


def test_a_box_outside_its_film_is_told_before_training(call: Call, films: Path, tmp_path: Path) -> None:
    (films / "boxes.csv").write_text("image,label,x,y,w,h\n1.png,Edema,30,0,30,10\n")
    result = call(*asked(films, tmp_path / "out", "--annotations", films / "boxes.csv"))
    assert_told(result, "boxes.csv row 2", "1.png", "outside the film")
    partial = next((tmp_path / "out").glob("*.partial"))
    assert not (partial / "encoders").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--encoder", "nonsense"], ["'nonsense'", "local-dir:DIR"]),
        (["--encoder", "local-dir:/no/such/folder"], ["/no/such/folder"]),
        (["--device", "abacus"], ["'abacus'", "--device auto"]),
        (["--learning-rate", "-1"], ["--learning-rate", "-1"]),
        (["--prompts", "no.toml"], ["no.toml", "[default] section"]),
        (["--label", "Nothing"], ["'Nothing'", "Edema"]),
        (["--csv", "none.csv"], ["none.csv"]),
        (["--images", "no-folder"], ["no-folder"]),
        (["--annotations", "none.csv"], ["none.csv"]),
    ],
)
def test_bad_options(call: Call, films: Path, tmp_path: Path, option: list[str], words: list[str]) -> None:
    assert_told(call(*asked(films, tmp_path / "out", *option)), *words)


def test_an_encoder_without_weights(call: Call, films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ENCODER.removeprefix("local-dir:"), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    assert_told(call(*asked(films, tmp_path / "out", "--encoder", f"local-dir:{folder}")), folder, "no weights")


def test_a_file_where_the_store_should_be(call: Call, films: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert_told(call(*asked(films, tmp_path / "out")), tmp_path / "out")
    assert_told(call("verify", tmp_path / "out"), "no store")


def test_names_with_brackets_print_as_they_are(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a[/b].csv", "[red]x", "[default]", "x[1].png", ":warning:"):
        assert_told(call("verify", name), name)

    def fails() -> None:
        raise UserError("[bold]what[/]", "[fix]")

    monkeypatch.setattr(command, "app", fails)
    assert_told(call(), "[bold]what[/]", "[fix]")


# --- verify and summary --------------------------------------------------------------------------------------


def test_verify_a_good_and_a_damaged_store(call: Call, tiny_store: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_store, tmp_path / "store", ignore=shutil.ignore_patterns("films"))
    code, _, err = call("verify", tmp_path / "store")
    assert code == 0
    assert "as the manifest says" in err
    run = open_store(tmp_path / "store").path
    samples = (run / "samples.parquet").read_bytes()
    (run / "samples.parquet").write_bytes(b"\0" * len(samples))
    assert_told(call("verify", tmp_path / "store"), "samples.parquet: its content", "1 problems")
    (run / "metrics.parquet").unlink()
    assert_told(call("verify", tmp_path / "store"), "metrics.parquet: it is missing", "2 problems")
    (run / "samples.parquet").write_bytes(samples)
    assert_told(call("summary", tmp_path / "store"), "metrics.parquet")
    raw = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(raw | {"schema_version": "7.0"}))
    assert_told(call("verify", tmp_path / "store"), "7.0")


def test_summary_json_is_the_metrics_with_all_that_qualifies_them(call: Call, tiny_store: Path) -> None:
    store = open_store(tiny_store)
    code, out, _ = call("summary", tiny_store, "--json")
    assert code == 0
    told = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert told["run_id"] == store.manifest.run_id
    assert told["n"] == {"all": 96, **{s: len(store.rows(s)) for s in ("train", "val", "test")}}  # type: ignore[arg-type]
    kept = store.tables.metrics[store.tables.metrics["split"] != "train"].reset_index(drop=True)
    assert len(told["metrics"]) == len(kept)
    for figure, (_, row) in zip(told["metrics"], kept.iterrows(), strict=True):
        assert set(figure) == set(kept.columns)
        assert figure["metric"] in told["baselines"]
        for column, value in row.items():
            assert figure[column] == (None if value != value else value)
        assert min(figure["n_pos"], figure["n_neg"], figure["n_unknown"]) >= 0
        if figure["value"] is not None:
            assert figure["baseline"] is not None
    macro = [f for f in told["metrics"] if f["label"] == MACRO_ALL and f["split"] == "test"]
    assert len(macro) == 3 * len(METRICS)
    assert all(f[key] is not None for f in macro for key in ("value", "baseline"))


def test_the_summary_table_shows_every_regime(call: Call, tiny_store: Path) -> None:
    store = open_store(tiny_store)
    code, out, _ = call("summary", tiny_store)
    assert code == 0
    macro = store.tables.metrics.query("label == @MACRO_ALL and split == 'test' and metric == 'auroc'")
    for regime in store.regimes:
        assert regime.title in out
        row = macro[macro["regime"] == regime.name].iloc[0]
        assert f"{row['value']:.3f} [" in out
    assert "baseline 0.500" in out
    assert f"n = {len(store.rows('test'))}" in out


def test_the_summary_as_markdown_is_one_table_of_the_same_cells(call: Call, tiny_store: Path) -> None:
    store = open_store(tiny_store)
    code, out, _ = call("summary", tiny_store, "--markdown")
    assert code == 0
    title, table, caption = out.strip().split("\n\n")
    assert f"n = {len(store.rows('test'))}" in title and "interval" in caption
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert [row[0] for row in cells] == ["Regime", "---", *(regime.title for regime in store.regimes)]
    assert {len(row) for row in cells} == {1 + len(METRICS)}
    macro = store.tables.metrics.query("label == @MACRO_ALL and split == 'test' and metric == 'auroc'")
    for row, value in zip(cells[2:], macro["value"], strict=True):
        assert row[cells[0].index("AUROC")].startswith(f"{value:.3f} [")
        assert row[cells[0].index("AUROC")].endswith("<br>baseline 0.500")
    assert_told(call("summary", tiny_store, "--json", "--markdown"), "--markdown", "Give one of them.")


def test_a_figure_without_an_interval_says_so() -> None:
    import pandas as pd

    from precompute.run.summary import _cell

    row = pd.Series({"value": 0.5, "ci_low": np.nan, "ci_high": np.nan, "baseline": 0.1})
    assert "no interval" in _cell(row)
    assert _cell(row.mul(np.nan)) == "none"


# --- kills and restarts --------------------------------------------------------------------------------------


SERVER = get_context("forkserver")
"""Jobs are forked from a process that has imported what all of them need: importing takes longer than the work."""
SERVER.set_forkserver_preload(["precompute.pipeline"])


def launch(arguments: list[object], log: Path) -> BaseProcess:
    """Start the command line in a process of its own, which goes on writing its log."""
    job = SERVER.Process(target=logged, args=([str(argument) for argument in arguments], log))
    job.start()
    return job


def logged(arguments: list[str], log: Path) -> None:
    os.setsid()
    with log.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["COLUMNS"] = "200"
    # a suite started in the background ignores Ctrl-C and would pass that on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["precompute", *arguments]
    from precompute.__main__ import main

    with pytest.MonkeyPatch.context() as patch:
        take_few_draws(patch, **FEWEST)
        main()


def ended(job: BaseProcess, seconds: float = 60) -> int | None:
    """The exit code; minus the signal's number if one killed it."""
    job.join(seconds)
    return job.exitcode


def ended_as(root: Path) -> tuple[str, str]:
    progress = read_progress(root)
    assert progress is not None
    return progress.state, progress.message


def wait_for_stage(job: BaseProcess, root: Path, stage: str) -> Path:
    """The stage's record, as soon as it is there."""
    for _ in range(6000):
        record = next(root.glob(f"*.partial/stages/{stage}.json"), None)
        if record:
            return record
        assert job.is_alive(), "the job ended before the stage"
        time.sleep(0.05)
    raise TimeoutError(stage)


@pytest.mark.usefixtures("few_draws")
def test_a_head_that_diverged_is_refused_before_anything_is_made_from_it(
    films: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = linear_probe.fit_probe

    def diverged(*given: Any) -> Any:
        head, *more = fitted(*given)
        head.weight[1, 0] = np.nan
        return head, *more

    monkeypatch.setattr(linear_probe, "fit_probe", diverged)
    assert_told(call(*asked(films, tmp_path / "out")), "regimes/linear_probe/head.safetensors", "no numbers: Fracture")
    assert not list((tmp_path / "out").rglob("linear_probe/head.safetensors"))


@pytest.mark.usefixtures("few_draws")
def test_killed_at_any_stage_the_same_command_completes_it(
    films: Path, small_encoder: Path, tmp_path: Path, call: Call
) -> None:
    (films / "images/5.png").write_bytes(b"")
    (films / "images/7.png").unlink()
    odd = (
        struct.pack("<HH2sH", 2, 0x10, b"UI", 20)
        + b"1.2.840.10008.1.2.1\0"
        + struct.pack("<HH2sH", 0x28, 0x10, b"LO", 4)
    )
    (films / "images/6.png").write_bytes(bytes(128) + b"DICM" + odd + b"many")  # Rows in words
    root, log = tmp_path / "store", tmp_path / "log.txt"
    options = ("--skip-bad", "--name", "Few films", "--macro-patients", 2, "--encoder", f"local-dir:{small_encoder}")
    command_line = asked(films, root, *options)
    records: dict[str, tuple[str, int]] = {}

    def remember() -> None:
        for record in root.glob("*.partial/stages/*.json"):
            records[record.stem] = (record.read_text(), record.stat().st_mtime_ns)

    job = launch(command_line, log)
    wait_for_stage(job, root, "samples")
    os.kill(job.pid, signal.SIGINT)  # Ctrl-C
    assert ended(job) == 128 + signal.SIGINT
    assert b"Traceback" not in log.read_bytes()
    assert b"stopped by SIGINT. Given again, it goes on where it stopped." in log.read_bytes()
    assert ended_as(root) == ("stopped", "stopped by SIGINT")
    assert list_runs(root) == []
    with pytest.raises(UserError, match="no store"):
        open_store(root)
    remember()
    assert "films" in records

    job = launch(command_line, log)
    wait_for_stage(job, root, "embed_frozen")
    os.kill(job.pid, signal.SIGSTOP)  # held still, so that it is at it for as long as the second writer needs
    code, _, err = call(*command_line)  # a second writer, while the first is at it
    assert code == 75 and "Another job" in err
    now = read_progress(root)
    assert now is not None
    assert (now.state, now.pid) == ("running", job.pid), "the second job wrote over the first one's progress"
    os.kill(job.pid, signal.SIGTERM)  # as a scheduler does
    os.kill(job.pid, signal.SIGCONT)
    assert ended(job) == 128 + signal.SIGTERM
    assert b"Traceback" not in log.read_bytes()
    assert ended_as(root) == ("stopped", "stopped by SIGTERM")
    assert list_runs(root) == []
    remember()

    job = launch(command_line, log)
    wait_for_stage(job, root, "score")
    job.kill()
    assert ended(job) == -signal.SIGKILL
    assert list_runs(root) == []
    for name, kept in list(records.items()):
        record = next(root.glob(f"*.partial/stages/{name}.json"))
        assert (record.read_text(), record.stat().st_mtime_ns) == kept, "an earlier stage was done again"
    remember()
    assert {"films", "samples", "embed_frozen"} <= set(records)

    job = launch(command_line, log)
    assert ended(job, 600) == 0, log.read_text()
    lines = log.read_text().splitlines()  # no terminal: plain lines
    assert "films: there already" in lines
    n = len(stages_of(choose_recipes(DEFAULT_REGIMES), Settings()))
    for name, number in (("maps", 10), ("slices", n)):
        start = lines.index(f"{name}: stage {number} of {n}")
        assert any(re.fullmatch(rf"{name}: done in [\d.]+ s", line) for line in lines[start:])
    table = next(i for i, line in enumerate(lines) if line.strip().startswith("Few films: mean over"))
    assert not any("━" in line for line in lines[:table]), "a bar"
    assert not any("\x1b" in line for line in lines)
    store = open_store(root)
    assert verify_store(store) == []
    assert store.n == 13
    assert (store.manifest.dataset.n_read, store.manifest.dataset.n_skipped) == (16, 3)
    assert store.tables.skipped["image"].tolist() == ["5.png", "6.png", "7.png"]
    assert "empty" in store.tables.skipped["reason"][0]
    assert "Rows" in store.tables.skipped["reason"][1]
    assert "missing" in store.tables.skipped["reason"][2]
    assert store.manifest.macro_patients == 2
    metrics = store.tables.metrics
    assert set(metrics.loc[metrics["in_macro"], "label"]) == {"Edema"}, "two patients of each kind in val and test"
    assert "fewer than 2 positive or 2 negative patients: Fracture" in mean_of_labels(store, "test").note
    for name, (text, _) in records.items():
        saved = json.loads(text)
        assert store.manifest.seconds[name] == saved["seconds"], "an earlier stage was done again"
    assert sorted(p.name for p in root.iterdir() if p.is_dir()) == sorted(["cache", store.manifest.run_id])
    assert ended_as(root) == ("complete", "")

    # the row is the key: what row 5 holds is film 8, in every array
    assert store.samples["image"].tolist() == [f"{i}.png" for i in range(16) if i not in (5, 6, 7)]
    film = np.asarray(Image.open(store.film(5)))
    assert film.shape == (48, 50)
    assert Path(store.film(5)).name == "8.png"

    # the same command again finds it done
    stamp = (store.path / "manifest.json").stat().st_mtime_ns
    code, _, err = call(*command_line)
    assert code == 0
    assert "complete already" in err
    assert (store.path / "manifest.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    "option", [("--epochs", 3), ("--learning-rate", 1e-4), ("--seed", 1), ("--prompts", "mine.toml")]
)
def test_the_papers_settings_are_not_a_commands_to_change(
    call: Call, few_films: Path, tmp_path: Path, option: tuple[str, object]
) -> None:
    given = [argument for argument in asked(few_films, tmp_path) if argument not in ("--epochs", 1)]
    assert_told(call(*given, "--protocol", "paper", *option), option[0], "--protocol sound")
    assert list_runs(tmp_path) == []
