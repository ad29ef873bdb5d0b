// Linked maps on canvas. Streamlit mounts five parts (see map_view.py): geometry and paint carry bytes and draw nothing,
// maps draws, side tells of a film or a selection, films answers for both. They meet in the hub.
import { packRows, unpackRows } from "./codec.js";
import { drawLegends, element, Panel } from "./draw.js";
import { ask, filmOf, films, geometry, hub, paint } from "./hub.js";
import { Pointer } from "./pointer.js";
import { scale, zoomed } from "./points.js";
import { side } from "./side.js";
import { Tip } from "./tips.js";

const WHOLE = { k: 1, x: 0, y: 0 };
const REST = 90; // milliseconds without a move after which films are drawn anew

const TOOLS = {
  pan: ["Pan", "Drag moves the maps; Ctrl and wheel, or two fingers, zoom", "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3"],
  box: ["Box", "Drag a box around films (or Shift and drag)", "M5 5h3M11 5h3M17 5h2v2M19 10v3M19 16v3h-2M14 19h-3M8 19H5v-2M5 14v-3M5 8V5"],
  lasso: ["Lasso", "Drag around films", "M8 17c-7-2-6-12 4-12s11 10 2 11c-5 1-8-2-6-3s4 3 1 7"],
  in: ["Zoom in", "Zoom in (Ctrl and wheel)", "M12 5v14M5 12h14"],
  out: ["Zoom out", "Zoom out (Ctrl and wheel)", "M5 12h14"],
  whole: ["Reset", "Show the whole map", "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5"],
};

class Maps {
  constructor(parent) {
    const root = element("div", parent, "maps");
    this.bar = element("div", root, "bar");
    this.bar.setAttribute("role", "toolbar");
    this.bar.setAttribute("aria-label", "Map tools");
    const body = element("div", root, "body");
    this.panelBox = element("div", body, "panels");
    this.legend = element("div", body, "legend");
    this.status = element("div", body, "unseen");
    this.status.setAttribute("role", "status");
    this.tip = new Tip(root);
    this.panels = [];
    this.view = WHOLE; // one for all panels: the maps are laid out alike
    this.selected = [];
    this.pointed = -1; // the film that is ringed
    this.stepped = -1; // the film that the keyboard led to and that is not yet announced
    this.pointer = new Pointer(this);
    this.modes = {};
    for (const mode of ["pan", "box", "lasso"]) this.modes[mode] = this.button(...TOOLS[mode], () => this.setMode(mode));
    this.button(...TOOLS.in, () => this.zoom(1.5));
    this.button(...TOOLS.out, () => this.zoom(1 / 1.5));
    this.button(...TOOLS.whole, () => this.look(WHOLE));
    this.setMode("pan");
    this.onChange = () => this.refresh();
    this.onFilms = () => {
      if (this.stepped >= 0) this.announce();
      if (this.panels.some(({ shown }) => shown.length)) this.settle();
    };
    hub.addEventListener("change", this.onChange);
    hub.addEventListener("films", this.onFilms);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.panelBox);
    hub.maps = this;
  }

  end() {
    hub.removeEventListener("change", this.onChange);
    hub.removeEventListener("films", this.onFilms);
    this.tip.end();
    this.observer.disconnect();
    if (hub.maps === this) hub.maps = null;
  }

  button(name, help, path, act) {
    const made = element("button", this.bar);
    made.type = "button";
    made.title = help;
    made.setAttribute("aria-label", name);
    made.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
    made.onclick = act;
    return made;
  }

  setMode(mode) {
    for (const [name, button] of Object.entries(this.modes)) button.setAttribute("aria-pressed", name === mode);
    this.pointer.setMode(mode);
  }

  // --- what is shown -------------------------------------------------------------------------------------------------

  update(data, send) {
    this.data = data;
    this.send = send;
    this.tip.id = data.films;
    const { selected, ring, ...rest } = data, shown = JSON.stringify(rest);
    ask(data.films, data.panels.flatMap((panel) => panel.thumbs.map(({ row }) => row)));
    if (shown === this.shown && selected === this.packed) return this.name(), this.drawTop(); // films are drawn already
    this.shown = shown;
    if (selected !== this.packed) {
      this.packed = selected;
      this.selected = unpackRows(selected);
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
      this.panels = data.panels.map(() => new Panel(this.panelBox));
      for (const panel of this.panels) this.pointer.listen(panel), this.pointer.cursor(panel);
    }
    this.panels.forEach((panel, i) => {
      const given = data.panels[i];
      panel.dress(given, this.geometry.maps.get(given.map), this.paint.maps.get(given.name));
    });
    this.chosen = this.selected.length ? new Uint8Array(this.geometry.n) : null;
    for (const row of this.selected) this.chosen[row] = 1;
    this.name();
    this.draw();
  }

  // Say what everything drawn means.
  name() {
    if (!this.panels.length) return;
    drawLegends(this.legend, this.panels, { words: this.data.words, address: this.data.ring, selected: this.selected.length });
  }

  scale(panel, view = this.view) {
    return scale(panel.stage, this.panels.map((one) => one.layout), view);
  }

  draw() {
    if (!this.geometry || !this.paint) return;
    this.drawnView = this.view;
    for (const panel of this.panels) panel.drawFilms(this.scale(panel), this.view.k, this.chosen);
    this.settle();
  }

  // Signs and thumbnails find their places anew.
  settle() {
    for (const panel of this.panels) panel.drawSigns(this.scale(panel), this.data.films);
    this.drawTop();
  }

  drawTop() {
    for (const panel of this.panels) panel.drawTop(this.scale(panel), this.data.ring, this.pointed, this.pointer.line(panel));
  }

  // A new view: what is drawn is moved and stretched once for each frame of the screen, and drawn anew when at rest.
  look(view) {
    this.view = view;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      for (const panel of this.panels) panel.stretch(this.scale(panel, this.drawnView), this.scale(panel));
      this.settle();
      clearTimeout(this.later);
      this.later = setTimeout(() => this.draw(), REST);
    });
  }

  zoom(factor, panel = this.panels[0], ...place) {
    this.look(zoomed(this.view, factor, panel.stage, this.scale(panel).side, ...place));
  }

  // --- what pointer, keys and side panel ask for ---------------------------------------------------------------------

  // Rows, ascending. They light up in all maps at once; the server hears of it and fills the side panel.
  choose(rows) {
    this.selected = rows;
    this.packed = packRows(rows, this.geometry.n);
    this.send("picked", this.packed);
    this.status.textContent = rows.length ? `Selected: ${rows.length.toLocaleString("en")}` : "Nothing selected";
    setTimeout(() => this.refresh()); // the message is on its way first
    hub.dispatchEvent(new Event("picked"));
  }

  toggle(row) {
    const others = [...this.selected].filter((other) => other !== row);
    this.choose(others.length < this.selected.length ? others : [...others, row].sort((a, b) => a - b));
  }

  click(row) {
    this.data.ring = row;
    this.send("clicked", row);
    this.point(row);
    hub.dispatchEvent(new Event("clicked"));
  }

  // Open a film's case, or another page about it.
  open(row, page = "Case") {
    this.send("opened", [row, page]);
  }

  hover(row, near, event) {
    if (row !== this.pointed) this.point(row, near);
    if (row >= 0) this.tip.place(event.clientX, event.clientY);
  }

  ring(row) {
    this.pointed = row;
    this.drawTop();
  }

  // Ring a film on all maps, name it beside the pointer and show it in the side panel; near() gives films that may be asked for next.
  point(row, near = () => []) {
    this.tip.turn(row);
    this.ring(row);
    if (row < 0) return;
    hub.film = row;
    if (!filmOf(this.data.films, row)) ask(this.data.films, [...near().reverse(), row]);
    hub.dispatchEvent(new Event("film"));
  }

  // From the film under the pointer, else from the middle of the panel, to the next one in a direction (x, y up).
  step(panel, dx, dy) {
    const { xy, codes } = panel.points, { clientWidth: width, clientHeight: height } = panel.stage;
    const { k, x, y, side } = this.scale(panel), from = this.pointed;
    const here = from >= 0 && from < codes.length ? [xy[2 * from], xy[2 * from + 1]] : [(width / 2 - x) / k, (y - height / 2) / k];
    const row = panel.points.towards(...here, dx, dy);
    if (row < 0) return;
    this.point(row);
    let [px, py] = panel.spot({ k, x, y }, row);
    if (px < 0 || py < 0 || px > width || py > height) {
      this.look({ ...this.view, x: this.view.x + (width / 2 - px) / side, y: this.view.y + (height / 2 - py) / side });
      [px, py] = [width / 2, height / 2];
    }
    const frame = panel.stage.getBoundingClientRect();
    this.tip.place(frame.left + px, frame.top + py);
    this.stepped = row;
    this.announce();
  }

  // Tell a screen reader which film an arrow key led to, once its card is here.
  announce() {
    const film = filmOf(this.data.films, this.stepped);
    if (!film) return;
    this.status.textContent = `${film.name}: ${film.findings}`;
    this.stepped = -1;
  }

  leave() {
    this.tip.hide();
    this.ring(-1);
  }
}

// --- the parts -------------------------------------------------------------------------------------------------------

const mounted = new WeakMap();

function maps({ data, parentElement, setTriggerValue }) {
  if (!mounted.has(parentElement)) mounted.set(parentElement, new Maps(parentElement));
  const shown = mounted.get(parentElement);
  shown.update(data, setTriggerValue);
  return () => (shown.end(), mounted.delete(parentElement));
}

hub.parts = { geometry, paint, maps, side, films };
hub.dispatchEvent(new Event("parts"));
export default geometry;
