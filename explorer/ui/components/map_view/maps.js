// Linked maps on canvas. Streamlit mounts four parts (see map_view.py): geometry and paint carry bytes and draw nothing,
// maps draws, tips answers hovers. They meet in the hub.
import { packRows, unpackRows } from "./codec.js";
import { drawLegends, element, Panel } from "./draw.js";
import { geometry, hub, paint, tips } from "./hub.js";
import { Pointer } from "./pointer.js";
import { scale, zoomed } from "./points.js";
import { Tip } from "./tips.js";

const WHOLE = { k: 1, x: 0, y: 0 };
const FEW_FILMS = 6000; // so many are drawn anew at every step of a zoom

class Maps {
  constructor(parent) {
    const root = element("div", parent);
    this.bar = element("div", root, "bar");
    this.panelBox = element("div", root, "panels");
    this.legend = element("div", root, "legend");
    this.tip = new Tip(root);
    this.panels = [];
    this.view = WHOLE; // one for all panels: the maps are laid out alike
    this.selected = new Set();
    this.pointer = new Pointer(this);
    this.modes = {};
    for (const [mode, title, help] of [
      ["pan", "Pan", "Drag moves the maps; Ctrl and wheel, or two fingers, zoom"],
      ["box", "Box", "Drag a box around films (or Shift and drag)"],
      ["lasso", "Lasso", "Drag around films"],
    ]) this.modes[mode] = this.button(title, help, () => this.setMode(mode));
    this.button("+", "Zoom in (Ctrl and wheel)", () => this.zoom(1.5));
    this.button("−", "Zoom out (Ctrl and wheel)", () => this.zoom(1 / 1.5));
    this.button("Reset", "Show the whole map", () => this.look(WHOLE));
    this.count = element("span", this.bar, "count");
    this.setMode("pan");
    this.onChange = () => this.refresh();
    hub.addEventListener("change", this.onChange);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.panelBox);
  }

  end() {
    hub.removeEventListener("change", this.onChange);
    this.tip.end();
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
    for (const [name, button] of Object.entries(this.modes)) button.setAttribute("aria-pressed", name === mode);
    this.pointer.setMode(mode);
  }

  // --- what is shown -------------------------------------------------------------------------------------------------

  update(data, send) {
    this.data = data;
    this.send = send;
    this.tip.id = data.films;
    if (data.selected !== this.packed) {
      this.packed = data.selected;
      this.selected = new Set(unpackRows(data.selected));
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
      panel.dress(given, this.geometry.maps.get(given.map), this.paint.maps.get(given.name), data.height);
    });
    drawLegends(this.legend, this.panels);
    this.count.textContent = this.selected.size ? `${this.selected.size.toLocaleString("en")} selected` : "";
    this.draw();
  }

  scale(panel, view = this.view) {
    return scale(panel.stage, this.panels.map((one) => one.layout), view);
  }

  draw() {
    if (!this.geometry || !this.paint) return;
    this.drawnView = this.view;
    for (const panel of this.panels) {
      panel.drawFilms(this.scale(panel), this.view.k, this.selected);
      panel.drawSigns(this.scale(panel));
    }
    this.drawTop();
  }

  drawTop() {
    for (const panel of this.panels) panel.drawTop(this.scale(panel), this.data.ring, this.tip.row, this.pointer.line(panel));
  }

  // A new view: with many films at once by stretching what is drawn, and sharp again a moment later.
  look(view) {
    this.view = view;
    if (this.geometry?.n <= FEW_FILMS) return this.draw();
    for (const panel of this.panels) {
      panel.stretch(this.scale(panel, this.drawnView), this.scale(panel));
      panel.drawSigns(this.scale(panel));
    }
    this.drawTop();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.draw(), 90);
  }

  zoom(factor, panel = this.panels[0], ...place) {
    this.look(zoomed(this.view, factor, panel.stage, this.scale(panel).side, ...place));
  }

  // --- what the pointer asks for -------------------------------------------------------------------------------------

  // Lights up in all maps at once; the server hears of it and fills the gallery.
  choose(rows) {
    this.selected = rows;
    this.packed = packRows([...rows].sort((a, b) => a - b), this.geometry.n);
    this.send("picked", this.packed);
    this.refresh();
  }

  toggle(row) {
    const rows = new Set(this.selected);
    if (!rows.delete(row)) rows.add(row);
    this.choose(rows);
  }

  click(row) {
    this.data.ring = row;
    this.send("clicked", row);
  }

  open(row) {
    this.send("opened", row);
  }

  hover(row, near, event) {
    if (row !== this.tip.row) {
      this.tip.turn(row, near);
      this.drawTop();
    }
    if (row >= 0) this.tip.place(event.clientX, event.clientY);
  }

  leave() {
    this.tip.hide();
    this.drawTop();
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

hub.parts = { geometry, paint, maps, tips };
hub.dispatchEvent(new Event("parts"));
export default geometry;
