"""The Map page in a real browser: first paint, frames while panning, and from a box to the gallery, beside others.

Ours is the page itself, maps, side panel and all. The baselines are pages with one chart each and a gallery of 24
thumbnails: plotly's ``scattergl``, which gets the same box, and ``st.echarts_chart``, which is only painted, since no
program can reach its brush from outside the canvas. The stores are the tiny demo's arrays, repeated and scattered.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import Measurement
from benchmarks.open_store import ROOT, served
from benchmarks.precompute_demo import tiny_demo
from explorer.store.files import sha256_file
from explorer.store.reader import Store
from explorer.store.runs import open_store

SIZES = (4_000, 100_000, 377_000)
WAIT = 120_000

_GALLERY = """
import streamlit as st, numpy as np, sys
from pathlib import Path
from explorer.store.runs import open_store
st.set_page_config(layout="wide")

@st.cache_resource
def store():
    return open_store(Path(%(root)r))

def gallery(rows):
    st.markdown(f"{len(rows)} films selected")
    with st.container(horizontal=True):
        for row in rows[:24]:
            st.image(store().thumbnail(int(row)), width=150)

xy = np.asarray(store().map("frozen"))
"""

_PLOTLY = """
import plotly.graph_objects as go

@st.cache_data
def figure():
    text = store().samples["sample_id"].to_numpy()
    marks = {"size": 4}
    figure = go.Figure(
        go.Scattergl(x=xy[:, 0], y=xy[:, 1], mode="markers", customdata=np.arange(len(xy)), text=text, marker=marks)
    )
    return figure.update_layout(dragmode="select", height=560)

@st.fragment
def show():
    event = st.plotly_chart(figure(), key="chart", on_select="rerun")
    rows = [int(np.ravel(point["customdata"])[0]) for point in event["selection"]["points"]]
    if rows:
        gallery(rows)
show()
st.markdown("drawn")
"""

_ECHARTS = """
st.echarts_chart(
    {
        "xAxis": {"show": False, "scale": True},
        "yAxis": {"show": False, "scale": True},
        "tooltip": {},
        "animation": False,
        "series": [{"type": "scatter", "symbolSize": 4, "data": xy.round(3).tolist()}],
    },
    key="chart",
    height=560,
)
st.markdown("drawn")
"""


class Wire:
    """Bytes that went over a page's web socket."""

    def __init__(self, page: Page) -> None:
        self.received = self.sent = 0
        page.on("websocket", self._listen)

    def _listen(self, socket: object) -> None:
        socket.on("framereceived", lambda frame: self._add("received", frame))  # type: ignore[attr-defined]
        socket.on("framesent", lambda frame: self._add("sent", frame))  # type: ignore[attr-defined]

    def _add(self, way: str, frame: bytes | str) -> None:
        setattr(self, way, getattr(self, way) + len(frame))

    def taken(self) -> tuple[int, int]:
        """Bytes to and from the browser since the last call."""
        found = self.received, self.sent
        self.received = self.sent = 0
        return found


def run(repeats: int) -> list[Measurement]:
    out = []
    with tempfile.TemporaryDirectory() as temp, sync_playwright() as playwright:
        folder = Path(temp)
        tiny_demo(folder / "tiny", 96)
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        for n in SIZES:
            root = grown(open_store(folder / "tiny"), folder / f"grown-{n}", n)
            scripts = {"ours": ROOT / "streamlit_app.py"}
            for name, body in (("plotly", _PLOTLY), ("echarts", _ECHARTS)):
                scripts[name] = folder / f"{name}-{n}.py"
                scripts[name].write_text(_GALLERY % {"root": str(root)} + body, encoding="utf-8")
            found = {
                name: [_visit(browser, script, root, name) for _ in range(repeats)] for name, script in scripts.items()
            }
            out += _measured(n, found)
            shutil.rmtree(root)
        browser.close()
    return out


def _measured(n: int, found: dict[str, list[dict[str, float]]]) -> list[Measurement]:
    def seconds(name: str, key: str) -> list[float]:
        return [visit[key] for visit in found[name]]

    def kilobytes(name: str, key: str) -> str:
        return f"{found[name][0][key] / 1000:,.0f} kB"

    paint = "first paint; to the browser: "
    return [
        *(
            Measurement(
                f"map_selection: {n:,} first paint, {other}",
                "the Map page",
                f"{other}, one map",
                seconds("ours", "paint"),
                seconds(other, "paint"),
                f"{paint}{kilobytes('ours', 'paint_bytes')} against {kilobytes(other, 'paint_bytes')}",
            )
            for other in ("plotly", "echarts")
        ),
        Measurement(
            f"map_selection: {n:,} box to gallery",
            "the Map page",
            "plotly, one map",
            seconds("ours", "select"),
            seconds("plotly", "select"),
            f"{int(found['ours'][0]['films']):,} and {int(found['plotly'][0]['films']):,} films; from the browser: "
            f"{kilobytes('ours', 'select_sent')} against {kilobytes('plotly', 'select_sent')}; to it: "
            f"{kilobytes('ours', 'select_bytes')} against {kilobytes('plotly', 'select_bytes')}",
        ),
        Measurement(
            f"map_selection: {n:,} a frame while panning",
            "the Map page",
            "30 frames a second",
            seconds("ours", "frame"),
            [1 / 30] * len(found["ours"]),
            f"95th percentile {max(seconds('ours', 'late_frame')):.3f} s",
            goal=1.0,
        ),
        Measurement(
            f"map_selection: {n:,} new colour",
            "the Map page",
            "",
            seconds("ours", "colour"),
            [],
            f"to the browser: {kilobytes('ours', 'colour_bytes')}, of which the coordinates: none",
        ),
    ]


def _visit(browser: Browser, script: Path, root: Path, name: str) -> dict[str, float]:
    """Open a page once for its caches, then measure a second visitor's first paint, selection and recolouring."""
    with served(script, root) as address:
        where = f"{address}/map?colour=Split&layout=All+regimes" if name == "ours" else address
        for measured in (False, True):
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(WAIT)
            wire = Wire(page)
            start = time.perf_counter()
            page.goto(where)
            _drawn(page, name)
            out = {"paint": time.perf_counter() - start}
            page.wait_for_timeout(1500)  # what is still under way belongs to the painting
            out["paint_bytes"] = wire.taken()[0]
            if measured and name == "ours":
                out |= _pan(page)
            if measured and name != "echarts":
                out |= _select(page, name, wire)
            if measured and name == "ours":
                start = time.perf_counter()
                page.get_by_role("combobox", name="Colour by").click()
                page.get_by_role("option", name="Colour: score", exact=True).click()
                page.locator(".legend .ramp").first.wait_for()
                out["colour"] = time.perf_counter() - start
                page.wait_for_timeout(1500)
                out["colour_bytes"] = wire.taken()[0]
            page.close()
    return out


def _drawn(page: Page, name: str) -> None:
    if name == "ours":
        page.locator(".legend canvas").first.wait_for()
    elif name == "plotly":
        page.locator(".js-plotly-plot .gl-canvas, .js-plotly-plot canvas").first.wait_for(state="attached")
        page.get_by_text("drawn").wait_for()
    else:
        page.locator("canvas").first.wait_for()
        page.get_by_text("drawn").wait_for()


_COUNT_FRAMES = """() => {
  globalThis.frames = [];
  let last = performance.now();
  const tick = (now) => (globalThis.frames.push(now - last), (last = now), requestAnimationFrame(tick));
  requestAnimationFrame(tick);
}"""


def _pan(page: Page) -> dict[str, float]:
    """Drag a map about in 120 steps: seconds between two frames of the screen, the median and the 95th percentile."""
    box = page.locator("canvas.top").first.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(_COUNT_FRAMES)
    for step in range(120):
        page.mouse.move(x + step / 2, y + step / 3)
    median, late = np.percentile(page.evaluate("globalThis.frames"), [50, 95]) / 1000
    page.mouse.up()
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(500)
    return {"frame": float(median), "late_frame": float(late)}


def _select(page: Page, name: str, wire: Wire) -> dict[str, float]:
    """Draw a box around the left half of the (first) map; until the gallery's first film stands there."""
    if name == "ours":
        page.get_by_role("button", name="Box").click()
    box = page.locator("canvas.top" if name == "ours" else ".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 3, steps=6)
    start = time.perf_counter()
    page.mouse.up()
    text = page.get_by_text("films selected").first
    text.wait_for()
    page.locator(".sheet img" if name == "ours" else "[data-testid=stImage] img").first.wait_for()
    seconds = time.perf_counter() - start
    page.wait_for_timeout(1500)
    received, sent = wire.taken()
    films = int(text.inner_text().split()[0].replace(",", ""))
    return {"select": seconds, "select_bytes": received, "select_sent": sent, "films": films}


def grown(tiny: Store, root: Path, n: int) -> Path:
    """A store of n films for the Map page: a tiny one's rows repeated, its maps scattered, one thumbnail for all.

    It holds what the page reads and nothing else.
    """
    folder = root / tiny.path.name
    manifest = json.loads((tiny.path / "manifest.json").read_text(encoding="utf-8"))
    rng = np.random.default_rng(0)
    source = np.arange(n) % tiny.n
    kept = {}
    for relative, artefact in manifest["artefacts"].items():
        if relative.startswith("audit/") or relative.endswith((".faiss", ".safetensors")):
            continue
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shape = artefact["shape"]
        if relative.startswith("thumbnails/"):
            continue
        if relative.endswith(".npy") and shape and shape[0] == tiny.n:
            array = np.load(tiny.path / relative)[source]
            if relative.endswith("map.npy"):
                array += rng.normal(size=array.shape).astype(np.float32) * array.std() / 5
            np.save(target, array)
        elif relative == "samples.parquet":
            frame = pd.read_parquet(tiny.path / relative).iloc[source].reset_index(drop=True)
            for column in ("sample_id", "study_id", "patient_id"):
                frame[column] = [f"{value}-{i // tiny.n}" for i, value in enumerate(frame[column])]
            frame.to_parquet(target)
        else:
            shutil.copy(tiny.path / relative, target)
        kept[relative] = artefact
    small = io.BytesIO()
    Image.open(io.BytesIO(tiny.thumbnail(0))).resize((96, 96)).save(small, "JPEG", quality=60)
    (folder / "thumbnails/data.bin").write_bytes(small.getvalue() * n)
    np.save(folder / "thumbnails/offsets.npy", np.arange(n + 1, dtype=np.int64) * len(small.getvalue()))
    for relative in (*kept, "thumbnails/data.bin", "thumbnails/offsets.npy"):
        path = folder / relative
        array = np.load(path, mmap_mode="r") if relative.endswith(".npy") else None
        kept[relative] = {
            **manifest["artefacts"][relative],
            "sha256": sha256_file(path),
            "bytes": path.stat().st_size,
            "shape": None if array is None else array.shape,
        }
    manifest |= {"n": n, "artefacts": kept}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (root / "LATEST").write_text(folder.name, encoding="utf-8")
    return root
