// Mouse, fingers and keys on the maps: what they ask for, maps.js does.
import { Pinch, wheelFactor } from "../pinch.js";

const REACH = 9; // pixels around the cursor in which a film counts as under it
const NEAR = 60; // pixels around the cursor from which cards are fetched ahead
const AHEAD = 5; // so many of them
const PAN = 0.1; // part of a map that Shift and an arrow key move it by
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }; // x, y up

export class Pointer {
  constructor(maps) {
    this.maps = maps;
    this.mode = "pan"; // or "box" or "lasso"
    this.drag = null;
  }

  setMode(mode) {
    this.mode = mode;
    for (const panel of this.maps.panels) this.cursor(panel);
  }

  cursor({ top }) {
    top.style.cursor = this.mode === "pan" ? "grab" : "crosshair";
    top.style.touchAction = this.mode === "pan" ? "pan-y" : "none";
  }

  // The box or lasso in progress on a panel, as a line of pixels.
  line(panel) {
    if (!this.drag?.path || this.drag.panel !== panel) return null;
    const { path, kind } = this.drag, last = path.at(-1), first = path[0];
    return kind === "box" ? [first, [last[0], first[1]], last, [first[0], last[1]]] : path;
  }

  listen(panel) {
    const { top } = panel, { maps } = this;
    const near = (place, pixels, most = 1) => panel.points.near(maps.scale(panel), ...place, pixels, most);
    const place = (event) => {
      const box = panel.stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const pinch = new Pinch();
    top.onpointerdown = (event) => {
      if (event.button) return;
      const start = place(event);
      top.setPointerCapture(event.pointerId);
      pinch.down(event.pointerId, start);
      if (pinch.held.size > 1) return void (this.drag = null); // two fingers zoom
      const kind = event.shiftKey && this.mode === "pan" ? "box" : this.mode;
      this.drag = { panel, kind, start, view: maps.view, path: kind === "pan" ? null : [start], moved: false };
    };
    top.onpointermove = (event) => {
      const now = place(event), { drag } = this;
      const { factor, middle } = pinch.move(event.pointerId, now);
      if (factor) return maps.zoom(factor, panel, ...middle);
      if (!drag) return maps.hover(near(now, REACH)[0] ?? -1, () => near(now, NEAR, AHEAD), event);
      const dx = now[0] - drag.start[0], dy = now[1] - drag.start[1];
      if (Math.hypot(dx, dy) > 4) drag.moved = true;
      if (!drag.moved) return;
      maps.leave();
      if (drag.path) drag.path.push(now), maps.drawTop();
      else {
        const { side } = maps.scale(panel);
        maps.look({ ...drag.view, x: drag.view.x + dx / side, y: drag.view.y + dy / side });
      }
    };
    top.onpointerup = (event) => {
      pinch.up(event.pointerId);
      const { drag } = this;
      if (!drag) return;
      const rows = drag.moved && drag.path ? panel.points.inside(maps.scale(panel), this.line(panel)) : [];
      const [under] = drag.moved ? [] : near(drag.start, REACH);
      this.drag = null;
      if (rows.length) maps.choose(rows);
      else if (under !== undefined && event.shiftKey) maps.toggle(under);
      else if (under !== undefined) maps.click(under);
      maps.drawTop();
    };
    top.onpointercancel = (event) => {
      pinch.up(event.pointerId);
      this.drag = null;
    };
    top.onpointerleave = () => maps.leave();
    top.ondblclick = (event) => {
      const [row] = near(place(event), REACH);
      if (row !== undefined) maps.open(row);
    };
    top.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // without a key the page scrolls
      event.preventDefault();
      maps.zoom(wheelFactor(event), panel, ...place(event));
    }, { passive: false });
    top.onkeydown = (event) => {
      const arrow = ARROWS[event.key];
      if (arrow && event.shiftKey) maps.look({ ...maps.view, x: maps.view.x - PAN * arrow[0], y: maps.view.y + PAN * arrow[1] });
      else if (arrow) maps.step(panel, ...arrow);
      else if (event.key === "+" || event.key === "-") maps.zoom(event.key === "+" ? 1.5 : 1 / 1.5);
      else if (event.key === "Escape") maps.choose([]);
      else if (event.key === "Enter" && maps.pointed >= 0) maps.open(maps.pointed);
      else if (event.key === " " && maps.pointed >= 0) maps.toggle(maps.pointed);
      else return;
      event.preventDefault();
    };
    top.onblur = () => maps.leave();
  }
}
