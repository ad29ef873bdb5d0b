"""Where there is no store yet: say so, build the demo in the background, follow it, open it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import threading
from pathlib import Path

import streamlit as st

from explorer.data.text import in_markdown
from explorer.environment import MODEL_LIBRARIES, without_models, without_store_root
from explorer.store.progress import Progress, read_progress
from explorer.store.runs import BUILD, latest_run
from explorer.ui.shared import access

LOG = "demo.log"


class DemoBuild:
    """The one demo build this server may have started; visitors who ask for another join it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def running(self, root: Path) -> bool:
        """Whether a build is under way, started here or elsewhere."""
        if self._process is not None and self._process.poll() is None:
            return True
        progress = read_progress(root)
        ended_here = self._process is not None and progress is not None and progress.pid == self._process.pid
        return progress is not None and progress.state == "running" and not ended_here and _is_alive(progress.pid)

    def start(self, root: Path, project: Path, python: str) -> None:
        """Start a build that outlives the browser and the server, unless one is under way."""
        with self._lock:
            if self.running(root):
                return
            root.mkdir(parents=True, exist_ok=True)
            with (root / LOG).open("ab") as log:
                self._process = subprocess.Popen(
                    [python, "-m", "precompute", "demo", "--out", str(root.resolve())],
                    cwd=project,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )


@st.cache_resource
def _job(root: Path) -> DemoBuild:
    return DemoBuild()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def offer_demo(root: Path, project: Path, python: str) -> None:
    """Offer to build the demo, or follow the job that is building it.

    Parameters
    ----------
    root : Path
        The store's folder, in which the job writes its progress and its log.
    project : Path
        The folder to start the job in.
    python : str
        The interpreter to start it with.
    """
    job = _job(root)
    if job.running(root):
        _follow(root)
        return
    st.markdown("There is no store here yet. A store holds all that these pages show, computed beforehand.")
    if access.admitted().role != "owner":
        st.markdown("This viewer is read-only. On the machine that holds the store, run")
        st.code(f"{BUILD} --out STORE", language="bash")
        return
    if not all(map(importlib.util.find_spec, MODEL_LIBRARIES)):
        raise without_models("Building the demo")
    progress = read_progress(root)
    if progress and progress.state == "failed":
        st.error(
            f"The last build failed in stage {in_markdown(progress.stage)}: "
            f"{in_markdown(without_store_root(progress.message), 1000)}\n\nIts log is {LOG} in the store's folder.",
            icon=":material/error:",
        )
    elif progress and progress.state in ("running", "stopped"):
        st.warning(f"The last build was stopped in stage {in_markdown(progress.stage)}. It will go on from there.")
    st.markdown(
        "The demo is made of synthetic films drawn on this computer. Nothing is downloaded. It takes some minutes."
    )
    if st.button("Build the demo", type="primary", icon=":material/build:"):
        job.start(root, project, python)
        st.rerun()


@st.fragment(run_every=1)
def _follow(root: Path) -> None:
    """Show a build's progress every second; open the store when it is complete."""
    if latest_run(root) is not None or not _job(root).running(root):
        st.rerun()
    progress = read_progress(root)
    st.markdown("**Building the demo.** This page opens it when it is ready; you may close the page meanwhile.")
    if progress is None or progress.state != "running":
        st.progress(0.0, text="Starting")
        return
    share = progress.done / progress.total if progress.total else 0.0
    st.progress(min(share, 1.0), text=_stage_text(progress))
    left = "" if progress.left is None else f" · about {_span(progress.left)} left"
    st.caption(f"{_span(progress.elapsed)} so far{left}")


def stage_under_way(root: Path) -> str:
    """The stage at which a job of the store is, as Markdown; empty where none is under way."""
    progress = read_progress(root)
    return _stage_text(progress) if progress is not None and _job(root).running(root) else ""


def _stage_text(progress: Progress) -> str:
    stage = f"Stage {progress.stage_number} of {progress.stages}: {in_markdown(progress.stage)}"
    return f"{stage} · {progress.done:,} of {progress.total:,} {in_markdown(progress.unit)}"


def _span(seconds: float) -> str:
    """Seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
