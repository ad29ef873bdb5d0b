// Linked maps on canvas. Streamlit mounts four parts of it (see map_view.py): "geometry" and "paint" carry bytes and
// draw nothing, "maps" draws, "tips" fetches what a hover shows. They meet in one hub, so that a new colour or a new
// selection sends neither coordinates nor thumbnails again.

const SIZE = 65535; // coordinates are uint16
const HIDDEN = 255;
const CELLS = 96; // cells a side of the grid that finds the film under the cursor
const REACH = 9; // pixels around the cursor in which a film counts as under it
const AHEAD = 5; // films near the cursor whose thumbnails are fetched with the one under it

const hub = (globalThis.cxrMaps ??= new EventTarget());
hub.geometry ??= new Map();
hub.paint ??= new Map();
hub.films ??= new Map();
const changed = () => hub.dispatchEvent(new Event("change"));

// --- bytes -----------------------------------------------------------------------------------------------------------

// [length of the header, uint32][header, JSON, padded to 4][arrays one after another, each padded to 4]
function unpack(bytes, known) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  if (known.has(header.id)) return null; // the page was drawn again, the bytes are the same
  known.clear(); // one page shows one run in one colour
  let at = 4 + length;
  const arrays = header.arrays.map((size) => {
    const part = bytes.slice(at, at + size);
    at += size + (-size & 3);
    return part;
  });
  return { header, arrays };
}

// a map's coordinates, x and y in turn, and how much of 0..SIZE they take up
function layout(xy) {
  const low = [SIZE, SIZE], high = [0, 0];
  xy.forEach((v, i) => ((low[i & 1] = Math.min(low[i & 1], v)), (high[i & 1] = Math.max(high[i & 1], v))));
  return { xy, width: Math.max(1, high[0] - low[0]), height: Math.max(1, high[1] - low[1]) };
}

// the selection as selection.py packs rows, without the compression: "b" and a bitmap, or "d" and gaps (LEB128)
function packRows(rows, n) {
  const gaps = [];
  let last = -1;
  for (const row of rows) {
    let gap = row - last - 1;
    last = row;
    for (; gap > 127; gap >>>= 7) gaps.push((gap & 127) | 128);
    gaps.push(gap);
  }
  const small = gaps.length <= n / 8;
  const body = small ? Uint8Array.from(gaps) : new Uint8Array(Math.ceil(n / 8));
  if (!small) for (const row of rows) body[row >> 3] |= 128 >> (row & 7);
  let text = "";
  for (let i = 0; i < body.length; i += 8192) text += String.fromCharCode(...body.subarray(i, i + 8192));
  return (small ? "d" : "b") + btoa(text);
}

function unpackRows(packed) {
  const body = Uint8Array.from(atob(packed.slice(1)), (c) => c.charCodeAt(0));
  const rows = [];
  if (packed[0] === "b") {
    for (let i = 0; i < body.length * 8; i++) if (body[i >> 3] & (128 >> (i & 7))) rows.push(i);
    return rows;
  }
  let value = 0, shift = 0, last = -1;
  for (const byte of body) {
    value |= (byte & 127) << shift;
    shift += 7;
    if (byte < 128) {
      rows.push((last += value + 1));
      value = shift = 0;
    }
  }
  return rows;
}

// --- marks -----------------------------------------------------------------------------------------------------------

// A style is {c: [colours], s: shape, r: radius, a: opacity}; several colours make a pie.
function sprite(style, scale) {
  const r = Math.max(style.r * scale, 0.75 * devicePixelRatio), pad = 1.5 * devicePixelRatio;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil(2 * (r + pad));
  const ctx = canvas.getContext("2d"), m = canvas.width / 2;
  ctx.globalAlpha = style.a;
  ctx.lineWidth = Math.max(1, r / 3);
  style.c.forEach((colour, i) => {
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.beginPath();
    const step = (2 * Math.PI) / style.c.length, turn = -Math.PI / 2;
    if (style.s === "ring") ctx.arc(m, m, r - ctx.lineWidth / 2, 0, 7), ctx.stroke();
    else if (style.s === "cross" || style.s === "slash") {
      ctx.lineWidth = Math.max(1.2, r / 2.2);
      ctx.moveTo(m - r, m + r), ctx.lineTo(m + r, m - r);
      if (style.s === "cross") ctx.moveTo(m - r, m - r), ctx.lineTo(m + r, m + r);
      ctx.stroke();
    } else if (style.s === "triangle") ctx.moveTo(m, m - r), ctx.lineTo(m + r, m + r * 0.8), ctx.lineTo(m - r, m + r * 0.8), ctx.fill();
    else if (style.s === "diamond") ctx.moveTo(m, m - r), ctx.lineTo(m + r, m), ctx.lineTo(m, m + r), ctx.lineTo(m - r, m), ctx.fill();
    else if (style.c.length === 1) ctx.arc(m, m, r, 0, 7), ctx.fill();
    else ctx.moveTo(m, m), ctx.arc(m, m, r, turn + i * step, turn + (i + 1) * step), ctx.fill();
  });
  return canvas;
}

// --- the maps --------------------------------------------------------------------------------------------------------

const CSS = `
  .bar, .legend { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; font-size: 0.82rem; }
  .bar { gap: 4px; margin-bottom: 4px; }
  .bar button { font: inherit; color: inherit; background: none; border: 1px solid rgba(128,132,140,.4);
    border-radius: 6px; padding: 2px 9px; cursor: pointer; min-width: 32px; min-height: 28px; }
  .bar button[aria-pressed=true] { border-color: #3a9bdc; color: #3a9bdc; }
  .bar .said { margin-left: 6px; opacity: .8; }
  .panels { display: flex; flex-wrap: wrap; gap: 12px; }
  .panel { flex: 1 1 270px; min-width: 0; }
  .title { font-weight: 600; display: flex; justify-content: space-between; gap: 8px; flex-wrap: wrap; }
  .title span { font-weight: 400; font-size: 0.82rem; opacity: .8; }
  .stage { position: relative; overflow: hidden; border: 1px solid rgba(128,132,140,.25); border-radius: 8px; }
  .stage canvas { position: absolute; left: 0; top: 0; width: 100%; height: 100%; transform-origin: 0 0; }
  .stage canvas.top { outline-offset: -2px; }
  .marks { position: absolute; inset: 0; pointer-events: none; }
  .mark { position: absolute; white-space: nowrap; font-size: 0.74rem; font-weight: 600; line-height: 1;
    text-shadow: 0 0 3px var(--st-background-color), 0 0 3px var(--st-background-color), 0 0 3px var(--st-background-color); }
  .mark i { font-style: normal; position: absolute; transform: translate(-50%, -50%); font-size: 0.95rem; }
  .mark b { position: absolute; left: 9px; transform: translateY(-50%); font-weight: 600; }
  .mark.left b { left: auto; right: 9px; }
  .mark.cluster b { left: 0; right: auto; transform: translate(-50%, -50%); font-weight: 700; font-size: 0.8rem; }
  .legend span { display: inline-flex; align-items: center; gap: 4px; }
  .legend .ramp { width: 120px; height: 10px; border-radius: 3px; display: inline-block; }
  .legend { margin-top: 4px; opacity: .95; }
  .tip { position: fixed; z-index: 1000; pointer-events: none; max-width: 260px; padding: 8px; border-radius: 8px;
    background: var(--st-background-color); color: var(--st-text-color); border: 1px solid rgba(128,132,140,.5);
    box-shadow: 0 4px 16px rgba(0,0,0,.25); font-size: 0.8rem; line-height: 1.3; display: none; }
  .tip img { display: block; width: 160px; border-radius: 4px; margin-bottom: 4px; background: #8884; min-height: 120px; }
  .tip .dim { opacity: .75; }
`;

function element(kind, parent, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

class Maps {
  constructor(root) {
    root = element("div", root);
    element("style", root).textContent = CSS;
    this.bar = element("div", root, "bar");
    this.panelBox = element("div", root, "panels");
    this.legend = element("div", root, "legend");
    this.tip = element("div", root, "tip");
    this.panels = [];
    this.view = { k: 1, x: 0, y: 0 }; // one view for all panels: the maps are laid out alike
    this.mode = "pan";
    this.selected = new Set();
    this.hovered = -1;
    this.buttons = {};
    for (const [mode, title, help] of [
      ["pan", "Pan", "Drag moves the maps; Ctrl and wheel, or two fingers, zoom"],
      ["box", "Box", "Drag a box around films (or Shift and drag)"],
      ["lasso", "Lasso", "Drag around films"],
    ]) this.buttons[mode] = this.button(title, help, () => this.setMode(mode));
    this.button("+", "Zoom in (Ctrl and wheel)", () => this.zoom(1.5));
    this.button("−", "Zoom out (Ctrl and wheel)", () => this.zoom(1 / 1.5));
    this.button("Reset", "Show the whole map", () => this.look({ k: 1, x: 0, y: 0 }));
    this.said = element("span", this.bar, "said");
    this.setMode("pan");
    this.onChange = () => this.refresh();
    this.onFilms = () => this.hovered >= 0 && this.showTip(this.hovered);
    hub.addEventListener("change", this.onChange);
    hub.addEventListener("films", this.onFilms);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.panelBox);
  }

  end() {
    hub.removeEventListener("change", this.onChange);
    hub.removeEventListener("films", this.onFilms);
    this.observer.disconnect();
  }

  button(title, help, act) {
    const made = element("button", this.bar, "", title);
    made.type = "button";
    made.title = help;
    made.onclick = act;
    return made;
  }

  setMode(mode) {
    this.mode = mode;
    for (const [name, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", name === mode);
    for (const panel of this.panels) this.cursor(panel);
  }

  cursor(panel) {
    panel.top.style.cursor = this.mode === "pan" ? "grab" : "crosshair";
    panel.top.style.touchAction = this.mode === "pan" ? "pan-y" : "none";
  }

  update(data, send) {
    this.data = data;
    this.send = send;
    const packed = data.selected ?? "";
    if (packed !== this.packed) {
      this.packed = packed;
      this.selected = new Set(packed ? unpackRows(packed) : []);
    }
    this.refresh();
  }

  refresh() {
    const { data } = this;
    this.geometry = hub.geometry.get(data?.geometry);
    this.paint = hub.paint.get(data?.paint);
    if (!this.geometry || !this.paint) return;
    const names = JSON.stringify(data.panels.map((panel) => panel.name));
    if (names !== this.names) {
      this.names = names;
      this.panelBox.replaceChildren();
      this.panels = data.panels.map((_, i) => this.panel(i));
    }
    this.panels.forEach((panel, i) => this.dress(panel, data.panels[i]));
    this.drawLegends();
    this.said.textContent = this.selected.size ? `${this.selected.size.toLocaleString("en")} selected` : "";
    this.draw();
  }

  panel(i) {
    const box = element("div", this.panelBox, "panel");
    const title = element("div", box, "title");
    const stage = element("div", box, "stage");
    const base = element("canvas", stage), marks = element("div", stage, "marks"), top = element("canvas", stage, "top");
    top.tabIndex = 0;
    top.setAttribute("role", "img");
    const panel = { i, box, title, stage, base, marks, top, legend: element("div", box, "legend") };
    this.listen(panel);
    this.cursor(panel);
    return panel;
  }

  // what a panel shows, from the bytes that have arrived
  dress(panel, given) {
    panel.given = given;
    panel.stage.style.height = `${this.data.height}px`;
    panel.title.replaceChildren(given.title);
    element("span", panel.title, "", given.note);
    panel.top.setAttribute("aria-label", given.alt);
    panel.layout = this.geometry.maps.get(given.map);
    panel.xy = panel.layout.xy;
    const painted = this.paint.maps.get(given.name);
    if (panel.codes === painted.codes && panel.drawnFrom === panel.xy) return;
    panel.drawnFrom = panel.xy;
    Object.assign(panel, painted);
    const { codes, xy } = panel, n = codes.length;
    // bottom first: by style, then by row
    const counts = new Uint32Array(257);
    for (let row = 0; row < n; row++) counts[codes[row] + 1]++;
    for (let c = 0; c < 256; c++) counts[c + 1] += counts[c];
    panel.order = new Uint32Array(counts[HIDDEN]);
    const next = counts.slice();
    for (let row = 0; row < n; row++) if (codes[row] !== HIDDEN) panel.order[next[codes[row]]++] = row;
    // the grid: films of a cell stand together
    const cell = (row) => ((xy[2 * row + 1] * CELLS) >> 16) * CELLS + ((xy[2 * row] * CELLS) >> 16);
    panel.starts = new Uint32Array(CELLS * CELLS + 1);
    for (const row of panel.order) panel.starts[cell(row) + 1]++;
    for (let c = 0; c < CELLS * CELLS; c++) panel.starts[c + 1] += panel.starts[c];
    panel.cells = new Uint32Array(panel.order.length);
    const place = panel.starts.slice();
    for (const row of panel.order) panel.cells[place[cell(row)]++] = row;
  }

  drawLegends() {
    const said = this.panels.map((panel) => JSON.stringify(panel.legendOf));
    const shared = said.every((one) => one === said[0]);
    this.legend.replaceChildren();
    this.panels.forEach((panel, i) => {
      panel.legend.replaceChildren();
      if (!shared || i === 0) this.fill(shared ? this.legend : panel.legend, panel.legendOf);
    });
  }

  fill(box, legend) {
    for (const entry of legend) {
      const line = element("span", box);
      if (entry.ramp) {
        element("span", line, "", entry.low);
        element("span", line, "ramp").style.background = `linear-gradient(90deg, ${entry.ramp.join(",")})`;
        element("span", line, "", entry.high);
      } else {
        const mark = sprite({ ...entry.style, a: 1, r: Math.max(entry.style.r, 4) }, devicePixelRatio * 1.1);
        mark.style.width = `${mark.width / devicePixelRatio}px`;
        line.append(mark, entry.name);
      }
    }
  }

  // --- places: map (0..SIZE) to pixels of a panel, y up -------------------------------------------------------------

  // one scale for all panels: as large as the widest and the highest map allow
  scale(panel) {
    const { clientWidth: width, clientHeight: height } = panel.stage;
    const fit = ({ layout }) => Math.min((width - 24) / layout.width, (height - 24) / layout.height);
    const side = Math.min(...this.panels.map(fit)) * SIZE;
    const k = (side / SIZE) * this.view.k;
    return {
      k,
      x: width / 2 - k * (SIZE / 2) + this.view.x * side,
      y: height / 2 + k * (SIZE / 2) + this.view.y * side,
      side,
    };
  }

  at(panel, row) {
    const { k, x, y } = this.scale(panel);
    return [x + k * panel.xy[2 * row], y - k * panel.xy[2 * row + 1]];
  }

  find(panel, px, py, reach) {
    const { k, x, y } = this.scale(panel);
    const mx = (px - x) / k, my = (y - py) / k, r = reach / k, side = SIZE / CELLS;
    const found = [];
    const clip = (v) => Math.max(0, Math.min(CELLS - 1, Math.floor(v / side)));
    for (let cy = clip(my - r); cy <= clip(my + r); cy++)
      for (let cx = clip(mx - r); cx <= clip(mx + r); cx++) {
        const c = cy * CELLS + cx;
        for (let i = panel.starts[c]; i < panel.starts[c + 1]; i++) {
          const row = panel.cells[i];
          const d = (panel.xy[2 * row] - mx) ** 2 + (panel.xy[2 * row + 1] - my) ** 2;
          // of two in one place the upper one
          if (d <= r * r) found.push([d, -panel.codes[row], -row]);
        }
      }
    return found.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]).map((one) => -one[2]);
  }

  // --- drawing ----------------------------------------------------------------------------------------------------

  draw() {
    if (!this.geometry || !this.paint) return;
    this.drawnView = { ...this.view };
    for (const panel of this.panels) this.drawPanel(panel);
    this.drawTop();
  }

  drawPanel(panel) {
    const { stage, base, top, order, codes, xy } = panel, dpr = devicePixelRatio;
    const width = Math.round(stage.clientWidth * dpr), height = Math.round(stage.clientHeight * dpr);
    for (const canvas of [base, top]) if (canvas.width !== width || canvas.height !== height) (canvas.width = width), (canvas.height = height);
    base.style.transform = "";
    const ctx = base.getContext("2d");
    ctx.clearRect(0, 0, width, height);
    // the more films and the smaller the panel, the smaller the marks; closer up they grow a little
    const crowd = Math.min(1, Math.sqrt(3000 / order.length)) * Math.min(1, 0.6 + stage.clientHeight / 1500);
    const size = dpr * Math.max(0.45, crowd) * Math.min(2, this.view.k ** 0.35);
    const sprites = panel.styles.map((style) => sprite(style, size));
    const { k, x, y } = this.scale(panel), kd = k * dpr, xd = x * dpr, yd = y * dpr;
    const chosen = this.selected, some = chosen.size > 0;
    const pass = (wanted) => {
      for (const row of order) {
        if (some && chosen.has(row) !== wanted) continue;
        const mark = sprites[codes[row]], half = mark.width / 2;
        const px = xd + kd * xy[2 * row], py = yd - kd * xy[2 * row + 1];
        if (px > -half && py > -half && px < width + half && py < height + half) ctx.drawImage(mark, (px - half) | 0, (py - half) | 0);
      }
    };
    ctx.globalAlpha = some ? 0.22 : 1;
    pass(false);
    ctx.globalAlpha = 1;
    if (some) pass(true);
    if (panel.flags) {
      const marks = ["slash", "ring", "cross"].map((s) => sprite({ c: ["#d62f6b"], s, r: 5, a: 0.75 }, size));
      for (const row of order) {
        if (!panel.flags[row]) continue;
        const mark = marks[panel.flags[row] - 1];
        ctx.drawImage(mark, xd + kd * xy[2 * row] - mark.width / 2, yd - kd * xy[2 * row + 1] - mark.height / 2);
      }
    }
    this.placeMarks(panel);
  }

  // every sign, and the names of those that have room
  placeMarks(panel) {
    const { k, x, y } = this.scale(panel), { clientWidth: width, clientHeight: height } = panel.stage;
    panel.marks.replaceChildren();
    const placed = [];
    for (const mark of panel.given.marks) {
      const px = x + k * mark.x, py = y - k * mark.y;
      if (px < 0 || py < 0 || px > width || py > height) continue;
      const made = element("div", panel.marks, `mark ${mark.kind}${px > width * 0.6 ? " left" : ""}`);
      made.style.left = `${px}px`;
      made.style.top = `${py}px`;
      if (mark.sign) element("i", made, "", mark.sign).style.color = mark.colour;
      placed.push({ text: element("b", made, "", mark.text), sign: mark.sign && { left: px - 5, right: px + 5, top: py - 5, bottom: py + 5 } });
    }
    const frame = panel.stage.getBoundingClientRect(), taken = [];
    for (const one of placed) {
      const box = one.text.getBoundingClientRect();
      const here = { left: box.left - frame.left, right: box.right - frame.left, top: box.top - frame.top, bottom: box.bottom - frame.top };
      const meets = (other) => here.left < other.right && other.left < here.right && here.top < other.bottom && other.top < here.bottom;
      if (taken.some(meets) || placed.some((other) => other !== one && other.sign && meets(other.sign))) one.text.remove();
      else taken.push(here);
    }
  }

  // selection outlines stay in the base; here: the film in the address, the film under the cursor, the lasso
  drawTop() {
    for (const panel of this.panels) {
      if (!panel.codes) continue;
      const ctx = panel.top.getContext("2d"), dpr = devicePixelRatio;
      ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
      ctx.clearRect(0, 0, panel.top.width, panel.top.height);
      const ring = (row, r, colour, width) => {
        if (row < 0 || row >= panel.codes.length) return;
        const [px, py] = this.at(panel, row);
        ctx.beginPath();
        ctx.arc(px, py, r, 0, 7);
        ctx.lineWidth = width;
        ctx.strokeStyle = colour;
        ctx.stroke();
      };
      ring(this.data.ring ?? -1, 9, "#e0457b", 3);
      ring(this.hovered, 7, "#3a9bdc", 2.5);
      if (this.drag?.path && this.drag.panel === panel) {
        ctx.beginPath();
        this.outline().forEach(([px, py], i) => (i ? ctx.lineTo(px, py) : ctx.moveTo(px, py)));
        ctx.closePath();
        ctx.lineWidth = 1.5;
        ctx.strokeStyle = "#3a9bdc";
        ctx.fillStyle = "rgba(58,155,220,.12)";
        ctx.fill();
        ctx.stroke();
      }
    }
  }

  // a new view: at once by stretching what is drawn, sharp again a moment later
  look(view) {
    this.view = view;
    if (this.geometry?.n <= 6000) return this.draw();
    for (const panel of this.panels) {
      const now = this.scale(panel);
      const kept = this.view;
      this.view = this.drawnView;
      const then = this.scale(panel);
      this.view = kept;
      const f = now.k / then.k;
      panel.base.style.transform = `translate(${now.x - f * then.x}px, ${now.y - f * then.y}px) scale(${f})`;
      this.placeMarks(panel);
    }
    this.drawTop();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.draw(), 90);
  }

  zoom(factor, panel = this.panels[0], px = panel.stage.clientWidth / 2, py = panel.stage.clientHeight / 2) {
    const k = Math.max(0.5, Math.min(60, this.view.k * factor)), f = k / this.view.k;
    const { side } = this.scale(panel);
    const cx = (px - panel.stage.clientWidth / 2) / side, cy = (py - panel.stage.clientHeight / 2) / side;
    this.look({ k, x: cx + (this.view.x - cx) * f, y: cy + (this.view.y - cy) * f });
  }

  // --- pointing ---------------------------------------------------------------------------------------------------

  listen(panel) {
    const { top } = panel;
    const place = (event) => {
      const box = panel.stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const held = new Map(); // every pointer that is down, and where it was last
    top.onpointerdown = (event) => {
      if (event.button) return;
      const [px, py] = place(event);
      top.setPointerCapture(event.pointerId);
      held.set(event.pointerId, [px, py]);
      if (held.size > 1) return void (this.drag = null); // two fingers zoom
      const kind = event.shiftKey && this.mode === "pan" ? "box" : this.mode;
      this.drag = { panel, kind, px, py, view: this.view, path: kind === "pan" ? null : [[px, py]], moved: false };
    };
    top.onpointermove = (event) => {
      const [px, py] = place(event), { drag } = this;
      const was = held.get(event.pointerId), other = [...held].find(([id]) => id !== event.pointerId)?.[1];
      if (was) held.set(event.pointerId, [px, py]);
      if (was && other) {
        const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
        return this.zoom(apart([px, py]) / apart(was), panel, (px + other[0]) / 2, (py + other[1]) / 2);
      }
      if (!drag) return this.hover(panel, px, py, event);
      if (Math.hypot(px - drag.px, py - drag.py) > 4) drag.moved = true;
      if (!drag.moved) return;
      this.leave();
      if (drag.path) drag.path.push([px, py]), this.drawTop();
      else {
        const { side } = this.scale(panel);
        this.look({ ...drag.view, x: drag.view.x + (px - drag.px) / side, y: drag.view.y + (py - drag.py) / side });
      }
    };
    top.onpointerup = (event) => {
      held.delete(event.pointerId);
      const { drag } = this;
      if (!drag) return;
      const rows = drag.moved && drag.path ? this.inside(panel) : [];
      const [under] = drag.moved ? [] : this.find(panel, drag.px, drag.py, REACH);
      this.drag = null;
      if (rows.length) this.choose(new Set(rows));
      else if (under !== undefined && event.shiftKey) this.toggle(under);
      else if (under !== undefined) (this.data.ring = under), this.send("clicked", under);
      this.drawTop();
    };
    top.onpointercancel = (event) => {
      held.delete(event.pointerId);
      this.drag = null;
    };
    top.onpointerleave = () => this.leave();
    top.ondblclick = (event) => {
      const [row] = this.find(panel, ...place(event), REACH);
      if (row !== undefined) this.send("opened", row);
    };
    top.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // without a key the page scrolls
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), panel, ...place(event));
    }, { passive: false });
    top.onkeydown = (event) => {
      const step = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (step) this.look({ ...this.view, x: this.view.x + step[0], y: this.view.y + step[1] });
      else if (event.key === "+" || event.key === "-") this.zoom(event.key === "+" ? 1.5 : 1 / 1.5);
      else if (event.key === "Escape") this.choose(new Set());
      else return;
      event.preventDefault();
    };
  }

  outline() {
    const { path, kind } = this.drag, last = path.at(-1), first = path[0];
    return kind === "box" ? [first, [last[0], first[1]], last, [first[0], last[1]]] : path;
  }

  inside(panel) {
    const { k, x, y } = this.scale(panel);
    const corners = this.outline().map(([px, py]) => [(px - x) / k, (y - py) / k]);
    return [...panel.order].filter((row) => {
      const mx = panel.xy[2 * row], my = panel.xy[2 * row + 1];
      let odd = false;
      for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
        const [ax, ay] = corners[i], [bx, by] = corners[j];
        if (ay > my !== by > my && mx < ((bx - ax) * (my - ay)) / (by - ay) + ax) odd = !odd;
      }
      return odd;
    });
  }

  // lights up in all maps at once; the server hears of it and fills the gallery
  choose(rows) {
    this.selected = rows;
    const sorted = [...rows].sort((a, b) => a - b);
    this.packed = sorted.length ? packRows(sorted, this.geometry.n) : "";
    this.send("picked", this.packed);
    this.refresh();
  }

  toggle(row) {
    const rows = new Set(this.selected);
    if (!rows.delete(row)) rows.add(row);
    this.choose(rows);
  }

  // --- hover ------------------------------------------------------------------------------------------------------

  hover(panel, px, py, event) {
    const near = this.find(panel, px, py, REACH), row = near[0] ?? -1;
    if (row !== this.hovered) {
      this.hovered = row;
      this.drawTop();
      this.showTip(row);
      if (row >= 0 && !hub.films.has(this.film(row)))
        this.ask([row, ...this.find(panel, px, py, 60).filter((other) => other !== row)].slice(0, 1 + AHEAD));
    }
    if (row < 0) return;
    const { width, height } = this.tip.getBoundingClientRect();
    this.tip.style.left = `${Math.max(4, event.clientX + 16 + width > innerWidth ? event.clientX - width - 16 : event.clientX + 16)}px`;
    this.tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - height - 8))}px`;
  }

  leave() {
    this.hovered = -1;
    this.tip.style.display = "none";
    this.drawTop();
  }

  film(row) {
    return `${this.data.films} ${row}`;
  }

  ask(rows) {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => hub.want?.(rows.filter((row) => !hub.films.has(this.film(row)))), 40);
  }

  showTip(row) {
    this.tip.style.display = row < 0 ? "none" : "block";
    if (row < 0) return;
    const film = hub.films.get(this.film(row));
    this.tip.replaceChildren();
    if (!film) return void element("div", this.tip, "dim", "…");
    element("img", this.tip).src = film.src;
    film.lines.forEach((line, i) => element("div", this.tip, i > 1 ? "dim" : "", line));
  }
}

// --- the four parts --------------------------------------------------------------------------------------------------

const drawn = new WeakMap();

hub.parts = {
  geometry({ data }) {
    const { header, arrays } = unpack(data, hub.geometry) ?? {};
    if (!header) return;
    const maps = new Map(header.maps.map((name, i) => [name, layout(new Uint16Array(arrays[i].buffer))]));
    hub.geometry.set(header.id, { n: header.n, maps });
    changed();
  },
  paint({ data }) {
    const { header, arrays } = unpack(data, hub.paint) ?? {};
    if (!header) return;
    const maps = new Map();
    header.maps.forEach((name, i) => {
      const flags = header.flags ? arrays[header.maps.length + i] : null;
      maps.set(name, { codes: arrays[i], flags, styles: header.styles[i], legendOf: header.legends[i] });
    });
    hub.paint.set(header.id, { maps });
    changed();
  },
  maps({ data, parentElement, setTriggerValue }) {
    if (!drawn.has(parentElement)) drawn.set(parentElement, new Maps(parentElement));
    const maps = drawn.get(parentElement);
    maps.update(data, setTriggerValue);
    return () => (maps.end(), drawn.delete(parentElement));
  },
  tips({ data, setTriggerValue }) {
    for (const film of data.films) hub.films.set(`${data.id} ${film.row}`, film);
    while (hub.films.size > 3000) hub.films.delete(hub.films.keys().next().value);
    hub.want = (rows) => rows.length && setTriggerValue("wanted", rows);
    hub.dispatchEvent(new Event("films"));
  },
};
hub.dispatchEvent(new Event("parts"));
export default hub.parts.geometry;
