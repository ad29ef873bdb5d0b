// Films side by side, each under its marks, a map and measures, and one row of tools for the film looked at last.
// Panes of one film share what is seen of it: zoom, turn, window and measures.
import { Pinch, wheelFactor } from "../pinch.js";
import { Frame } from "./frame.js";
import { actOf, sheetRows } from "./keys.js";
import { HeartRatio, Length, whereOf } from "./measures.js";
import { develop, paint } from "./paint.js";
import { loadLevels, loadPicture } from "./values.js";
import { PRESETS, greyTable, handLook, presetLook, unitRange } from "./window.js";

const TYPING =
  "input, textarea, select, canvas, dialog, [contenteditable=true], [role=radiogroup], [role=slider]:not(circle), [role=combobox], [role=tablist]";
const MOST_VIEWS = 60; // films whose zoom and window are kept
const MOST_LENGTHS = 20; // of a film
const TAPPED = 4; // pixels of the screen: what is shorter is no length
const REACH = 400; // pixels of the screen to drag from no window to the film's whole range
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Whether a key pressed is for what has the focus, not for the film.
export const isTyping = (event) => Boolean(event.composedPath()[0].closest?.(TYPING));

export const shape = (tag, attributes = {}) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

export function outlined({ points, label, reader, colour }) {
  const polygon = shape("polygon", { points: points.map((point) => point.join()).join(" "), stroke: colour });
  const title = shape("title");
  title.textContent = `${label}, ${reader}`;
  polygon.append(title);
  return polygon;
}

// How to listen until Streamlit runs the component again, which it does whenever Python sends data.
function listening(root) {
  root.stop?.();
  const until = new AbortController(), { signal } = until;
  root.stop = () => until.abort();
  const on = (target, name, act, options) => target.addEventListener(name, act, { signal, ...options });
  return { on, signal };
}

// What is seen of a film.
class View {
  constructor(film) {
    this.frame = new Frame(film.width, film.height);
    this.sheet = document.createElement("canvas");
    this.measures = [];
    this.take(film);
    this.plain();
  }

  // The film as Python described it last; true where its values are other ones than before.
  take(film) {
    const same = this.film?.url === film.url && this.film?.poster === film.poster;
    this.film = film;
    return !same;
  }

  plain() {
    this.set({ ...presetLook(this.film, "default"), inverted: false });
  }

  set(look) {
    this.look = { ...this.look, ...look };
    this.developed = false;
  }

  // Not shown any more: what is seen of it is kept, its pixels are not.
  rest() {
    this.values = this.poster = null;
    this.developed = this.sheet.width = 0;
  }

  // The film's picture: its own values under the window, and until they are here its thumbnail.
  picture() {
    if (!this.values) return this.poster;
    if (!this.developed) develop(this.sheet, this.values, greyTable(this.film, this.values.grey, this.look));
    this.developed = true;
    return this.sheet;
  }
}

// The films of `data`, whose first tool is `tool`. `begin`, given the event of one pointer that goes down and its pane,
// returns what that pointer does in place of the tool, as { move(event), end(event), drop() }, or nothing. `marks` gives
// the shapes on a pane: { turned, upright }. `rows` describe the page's own keys in the sheet. `onOpen` gets the film
// whose title was pressed.
export function films(parentElement, data, { tool = "move", begin = () => null, marks, rows = [], onOpen = () => {} }) {
  const root = parentElement.querySelector(".viewer"), find = (name) => root.querySelector(name);
  const { on, signal } = listening(root), width = find(".width"), level = find(".level"), preset = find(".preset");
  const pinch = new Pinch(); // in places on the screen
  let gesture = null, holder = null, lens = null; // what a pointer does, on which pane, and what is magnified
  root.views ??= new Map();
  root.tool ??= tool;
  const panes = hang();
  const resized = new ResizeObserver(() => panes.forEach(repaint));
  panes.forEach((pane) => resized.observe(pane.canvas));
  signal.addEventListener("abort", () => resized.disconnect());
  const active = () => panes[Math.min(root.active ?? 0, panes.length - 1)];
  panes.forEach(wire);
  root.refresh = refresh;
  refresh();

  // --- what stands there ---

  function viewOf(film) {
    const kept = root.views.get(film.name), view = kept ?? new View(film);
    root.views.delete(film.name);
    root.views.set(film.name, view);
    if (root.views.size > MOST_VIEWS) root.views.delete(root.views.keys().next().value);
    if (view.take(film) || !view.values) bring(view);
    return view;
  }

  async function bring(view) {
    const { film } = view, here = () => view.film.url === film.url;
    view.values = view.poster = null;
    view.remark = "";
    loadPicture(film.poster).then((poster) => { if (here()) view.poster = poster; root.refresh(); }, () => {});
    try {
      const values = await loadLevels(film);
      if (here()) Object.assign(view, { values, developed: false });
    } catch {
      view.remark = "the film's own values did not arrive: this is its thumbnail";
    }
    root.refresh(); // Streamlit may have run the component again since
  }

  function hang() {
    const box = find(".panes"), made = [...box.children];
    while (made.length > data.panes.length) made.pop().remove();
    while (made.length < data.panes.length) {
      made.push(find("template").content.firstElementChild.cloneNode(true));
      box.append(made.at(-1));
    }
    root.classList.toggle("compact", Boolean(data.compact));
    root.classList.toggle("several", new Set(data.panes.map(({ film }) => film)).size > 1);
    if (root.first !== data.panes[0].film) root.active = 0;
    root.first = data.panes[0].film;
    for (const [name, view] of root.views) if (!data.films[name]) view.rest();
    return data.panes.map((shown, place) => {
      const figure = made[place], part = (name) => figure.querySelector(name), film = data.films[shown.film];
      const pane = { place, shown, film, figure, view: viewOf(film), svg: part(".film"), canvas: part("canvas"), rule: part(".rule") };
      pane.turned = pane.svg.querySelector(".turned");
      pane.names = pane.svg.querySelector(".names");
      part(".open").textContent = shown.opens ? shown.title : "";
      part("strong").textContent = shown.opens ? "" : shown.title;
      part("strong").style.setProperty("--mark", shown.colour || "transparent");
      part("strong").classList.toggle("marked", Boolean(shown.colour));
      part(".text").textContent = shown.text;
      part(".remark").textContent = shown.remark;
      pane.svg.setAttribute("aria-label", shown.alt);
      bringMap(pane);
      return pane;
    });
  }

  function bringMap(pane) {
    const { map } = pane.shown, { svg } = pane;
    if (svg.mapSource !== map?.source) svg.mapPicture = null;
    svg.mapSource = map?.source;
    if (!map?.source || svg.mapPicture) return;
    loadPicture(map.source).then((picture) => { if (svg.mapSource === map.source) svg.mapPicture = picture; repaint(pane); }, () => {});
  }

  // --- drawing ---

  function repaint(pane) {
    pane.due ??= requestAnimationFrame(() => {
      pane.due = null;
      const { canvas, film, svg, turned, view } = pane, ratio = devicePixelRatio, at = canvas.getBoundingClientRect();
      const m = turned.getScreenCTM();
      if (!m || !at.width) return;
      const size = { width: Math.round(at.width * ratio), height: Math.round(at.height * ratio) };
      if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
      const matrix = [m.a, m.b, m.c, m.d, m.e - at.left, m.f - at.top].map((value) => value * ratio);
      const seen = lens?.pane === pane && { ...lens, at: [lens.at[0] - at.left, lens.at[1] - at.top] };
      const { map } = pane.shown;
      paint(canvas, view.picture(), film, matrix, map && { ...map, picture: svg.mapPicture }, seen);
      canvas.dataset.painted = view.values ? "values" : view.poster ? "thumbnail" : ""; // what a test waits for
    });
  }

  function refresh() {
    panes.forEach(redraw);
    tools();
  }

  // Everything on a pane but its marks' own state.
  function redraw(pane) {
    const { svg, rule, turned, names, view, figure } = pane, { frame } = view, { x, y, w, h } = frame.box, { whole } = frame;
    for (const layer of [svg, rule]) layer.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
    svg.style.aspectRatio = `${whole.w} / ${whole.h}`;
    if (innerWidth > 640) figure.style.flexGrow = (100 * whole.w) / whole.h; // so that all films are of one height
    turned.setAttribute("transform", `matrix(${frame.matrix.join(" ")})`);
    const drawn = marks(pane);
    turned.replaceChildren(...mapShapes(pane), ...drawn.turned);
    names.replaceChildren(...(drawn.upright ?? []));
    svg.dataset.cursor = root.tool;
    svg.style.touchAction = tool === "move" && root.tool === "move" && frame.scale <= 1 ? "pan-y" : "none";
    svg.classList.toggle("lens", lens?.pane === pane);
    figure.classList.toggle("active", pane === active());
    drawMeasures(pane);
    repaint(pane);
  }

  function redrawAll(view) {
    panes.filter((pane) => pane.view === view).forEach(redraw);
    tools();
  }

  // Where the model does not look, and the map's contour.
  function mapShapes({ place, film, shown: { map } }) {
    if (!map) return [];
    const shapes = [], [x, y, w, h] = map.seen, step = film.height / 50;
    if (x > 0 || y > 0 || x + w < film.width || y + h < film.height) {
      const pattern = shape("pattern", { id: `hatch-${place}`, patternUnits: "userSpaceOnUse", width: step, height: step, patternTransform: "rotate(45)" });
      pattern.append(shape("rect", { width: 0.58 * step, height: step, fill: "#000", "fill-opacity": 0.65 }));
      const inner = `M${Math.max(0, x)} ${Math.max(0, y)}V${Math.min(film.height, y + h)}H${Math.min(film.width, x + w)}V${Math.max(0, y)}Z`;
      shapes.push(pattern, shape("path", { class: "hatch", d: `M0 0H${film.width}V${film.height}H0Z${inner}`, "fill-rule": "evenodd", fill: `url(#hatch-${place})` }));
    }
    const lines = map.contours.map((points) => shape("polygon", { class: "contour", points: points.map((at) => at.join()).join(" "), stroke: map.colour }));
    return [...shapes, ...lines];
  }

  function drawMeasures(pane) {
    const { view, rule, film } = pane, { frame } = view, scale = rule.getScreenCTM()?.a || 1;
    const focus = rule.getRootNode().activeElement?.dataset?.handle;
    rule.replaceChildren(...view.measures.flatMap((measure, number) => {
      const lines = measure.lines.map((ends) => ends.map((at) => frame.toFrame(at)));
      const drawn = lines.map(([[x1, y1], [x2, y2]]) => shape("line", { x1, y1, x2, y2 }));
      const [u, v] = lines.flat().reduce((low, at) => (at[1] > low[1] ? at : low));
      const text = shape("text", { x: u, y: v + 20 / scale, "font-size": 14 / scale, "stroke-width": 3 / scale, "text-anchor": u > frame.box.x + frame.box.w / 2 ? "end" : "start" });
      text.textContent = measure.text(film.spacing);
      const handles = Object.entries(measure.handles).map(([handle, [name, at]]) => {
        const [cx, cy] = frame.toFrame(at);
        const circle = shape("circle", { cx, cy, r: 4 / scale, tabindex: 0, role: "slider", "aria-label": `${measure.name}: ${name}`, "aria-valuenow": Math.round(at[0]), "aria-valuetext": measure.text(film.spacing), "data-handle": `${number}-${handle}` });
        wireHandle(pane, measure, handle, circle);
        return circle;
      });
      return [...drawn, text, ...handles];
    }));
    if (focus) rule.querySelector(`[data-handle="${focus}"]`)?.focus();
  }

  function tools() {
    const { view, film } = active(), { look } = view, [least, greatest] = unitRange(film);
    for (const button of root.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === root.tool);
    find("[data-act=invert]").setAttribute("aria-pressed", look.inverted);
    find("[data-act=clear]").disabled = !view.measures.length;
    preset.value = look.preset;
    const step = greatest - least > 20 ? 1 : (greatest - least) / 200 || 1, digits = step < 1 ? 2 : 0;
    Object.assign(width, { min: step, max: Math.max(greatest - least, look.high - look.low), step });
    Object.assign(level, { min: least, max: greatest, step: step / 2 });
    width.value = look.high - look.low;
    level.value = (look.low + look.high) / 2;
    const decimals = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const shown = (value) => value.toLocaleString("en-US", decimals).replace("-", "−");
    const grey = `window ${shown(look.high - look.low)} · level ${shown((look.low + look.high) / 2)}`;
    const turns = view.frame.turns ? ` · turned ${90 * view.frame.turns}°` : "";
    find(".note").textContent = [`${Math.round(100 * view.frame.scale)}%${turns}`, grey, film.about, view.remark].filter(Boolean).join(" · ");
    const texts = view.measures.map((measure) => measure.text(film.spacing));
    find(".measured").textContent = texts.length ? `${texts.join("; ")} (${whereOf(film.spacing)})` : "";
  }

  // --- places ---

  // The place in a pane's frame under one on the screen; the film may have black bars beside it.
  function inFrame({ svg }, [x, y]) {
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  }

  const onFilm = (pane, where) => pane.view.frame.toFilm(inFrame(pane, where));
  const insideFilm = (pane, where) => pane.view.frame.inside(onFilm(pane, where));
  const placeOf = (event) => [event.clientX, event.clientY];

  function zoomAt(pane, factor, where) {
    pane.view.frame.zoom(factor, inFrame(pane, where));
    redrawAll(pane.view);
  }

  function pan(pane, was, now) {
    const from = inFrame(pane, was), to = inFrame(pane, now);
    pane.view.frame.move(from[0] - to[0], from[1] - to[1]);
    redrawAll(pane.view);
  }

  function windowBy({ view, film }, across, down) {
    const { low, high } = view.look, [least, greatest] = unitRange(film), step = (greatest - least) / REACH;
    view.set(handLook(film, high - low + across * step, (low + high) / 2 + (film.inverted ? -down : down) * step));
    redrawAll(view);
  }

  // --- what tools and keys do ---

  const dragged = {
    window: (event, pane) => windowing(event, pane),
    loupe: (event, pane) => {
      point(pane, event);
      return { move: (event) => point(pane, event), end: (event) => { if (event.pointerType === "touch") point(null); }, drop: () => point(null) };
    },
    length: (event, pane) => {
      const { view } = pane, measure = new Length(insideFilm(pane, placeOf(event))), from = placeOf(event);
      keep(view, measure);
      const drop = () => { view.measures = view.measures.filter((other) => other !== measure); redrawAll(view); };
      return {
        move: (event) => { measure.drag("b", insideFilm(pane, placeOf(event))); redrawAll(view); },
        end: (event) => { if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) < TAPPED) drop(); },
        drop,
      };
    },
  };

  function windowing(event, pane) {
    let was = placeOf(event);
    const move = (event) => {
      const now = placeOf(event);
      windowBy(pane, now[0] - was[0], now[1] - was[1]);
      was = now;
    };
    return { move, end: () => {}, drop: () => {} };
  }

  function keep(view, measure) {
    const lengths = view.measures.filter((other) => other instanceof Length);
    if (lengths.length >= MOST_LENGTHS) view.measures.splice(view.measures.indexOf(lengths[0]), 1);
    view.measures.push(measure);
    redrawAll(view);
  }

  function point(pane, event) {
    lens = pane && { pane, at: placeOf(event), finger: event.pointerType === "touch" };
    refresh();
  }

  function take(name) {
    root.tool = root.tool === name ? tool : name; // once more: back to the first tool
    lens = null;
    const { view } = active();
    if (root.tool === "ratio" && !view.measures.some((measure) => measure instanceof HeartRatio)) keep(view, new HeartRatio(view.frame));
    refresh();
  }

  const byHand = (across, down) => () => windowBy(active(), across * 10, down * 10);
  const seen = (change) => () => { change(active().view); redrawAll(active().view); };
  const acts = {
    in: seen(({ frame }) => frame.zoom(1.5)),
    out: seen(({ frame }) => frame.zoom(1 / 1.5)),
    turn: (event) => seen(({ frame }) => frame.turn(event?.shiftKey ? -1 : 1))(),
    invert: seen((view) => view.set({ inverted: !view.look.inverted })),
    narrower: byHand(-1, 0),
    wider: byHand(1, 0),
    brighter: byHand(0, -1),
    darker: byHand(0, 1),
    clear: seen((view) => { view.measures = []; }),
    reset: seen((view) => { view.frame.reset(); view.plain(); }),
    help,
    ...Object.fromEntries(PRESETS.map((name) => [name, seen((view) => view.set(presetLook(view.film, name)))])),
    ...Object.fromEntries([...root.querySelectorAll("[data-tool]")].map(({ dataset: { tool: name } }) => [name, () => take(name)])),
  };

  function help() {
    const row = (cells) => {
      const line = document.createElement("tr");
      for (const cell of cells) line.insertCell().textContent = cell;
      return line;
    };
    find(".sheet tbody").replaceChildren(...sheetRows(rows).map(row));
    find(".sheet").showModal();
  }

  // --- pointers ---

  function drop() {
    gesture?.drop();
    gesture = null;
  }

  function wire(pane) {
    const { svg, place, figure } = pane;
    const look = () => {
      if (root.active === place) return;
      root.active = place;
      refresh();
    };
    on(svg, "focus", look);
    on(svg, "wheel", (event) => {
      // without a key held down the wheel scrolls the page, as everywhere
      if (!event.ctrlKey && !event.metaKey && svg.getRootNode().activeElement !== svg) return;
      event.preventDefault();
      zoomAt(pane, wheelFactor(event), placeOf(event));
    }, { passive: false });
    on(svg, "contextmenu", (event) => event.preventDefault());
    on(svg, "pointerdown", (event) => {
      drop(); // a second finger ends what the first began
      look();
      holder = pane;
      pinch.down(event.pointerId, placeOf(event));
      svg.setPointerCapture(event.pointerId);
      if (pinch.held.size === 1) {
        if (event.button === 2 || event.shiftKey) gesture = windowing(event, pane);
        else if (event.button === 0) gesture = begin(event, pane) ?? dragged[root.tool]?.(event, pane) ?? null;
      }
      svg.classList.toggle("moving", !gesture);
    });
    on(svg, "pointermove", (event) => {
      if (root.tool === "loupe" && !pinch.held.has(event.pointerId) && event.pointerType !== "touch") point(pane, event);
    });
    on(svg, "pointerleave", () => { if (lens?.pane === pane) point(null); });
    on(svg, "dblclick", () => { if (["move", "window"].includes(root.tool)) acts.reset(); });
    on(figure.querySelector(".open"), "click", () => onOpen(pane.shown.film));
  }

  // A pointer that went down on a film is followed wherever it goes: a capture can be lost, and ends of measures lie above.
  function follow(name, act) {
    on(window, name, (event) => { if (pinch.held.has(event.pointerId)) act(event); });
  }

  const up = (event) => {
    pinch.up(event.pointerId);
    holder.svg.classList.remove("moving");
  };
  follow("pointermove", (event) => {
    const now = placeOf(event), { was, factor, middle, before } = pinch.move(event.pointerId, now);
    if (factor) {
      pan(holder, before, middle);
      zoomAt(holder, factor, middle);
    } else if (gesture) {
      gesture.move(event);
    } else {
      pan(holder, was, now);
    }
  });
  follow("pointerup", (event) => {
    up(event);
    const ended = gesture;
    gesture = null;
    ended?.end(event);
  });
  follow("pointercancel", (event) => {
    up(event);
    drop();
  });

  function wireHandle(pane, measure, handle, circle) {
    const { view } = pane;
    circle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      circle.focus();
      const until = new AbortController(), ends = { signal: until.signal };
      addEventListener("pointermove", (event) => { measure.drag(handle, insideFilm(pane, placeOf(event))); redrawAll(view); }, ends);
      for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => until.abort(), ends);
    });
    circle.addEventListener("keydown", (event) => {
      const { frame } = view, by = event.shiftKey ? 10 : 1, arrow = ARROWS[event.key];
      if (["Delete", "Backspace"].includes(event.key)) view.measures = view.measures.filter((other) => other !== measure);
      else if (arrow) {
        const [u, v] = frame.toFrame(measure.handles[handle][1]);
        measure.drag(handle, frame.inside(frame.toFilm([u + by * arrow[0], v + by * arrow[1]])));
      } else return;
      event.preventDefault();
      event.stopPropagation();
      redrawAll(view);
    });
  }

  // --- tools ---

  for (const button of root.querySelectorAll("[data-tool]")) on(button, "click", () => take(button.dataset.tool));
  for (const button of root.querySelectorAll("[data-act]")) on(button, "click", (event) => acts[button.dataset.act](event));
  on(preset, "change", () => acts[preset.value]());
  for (const slider of [width, level]) {
    on(slider, "input", () => {
      const { view, film } = active();
      view.set(handLook(film, +width.value, +level.value));
      redrawAll(view);
    });
  }
  on(document, "keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (event.key === "Escape" && root.tool !== tool) take(tool);
    const { view, svg } = active(), arrow = event.shiftKey && ARROWS[event.key];
    if (event.key === "Enter" && root.tool === "length" && svg.getRootNode().activeElement === svg) {
      const { frame } = view, [u, v] = frame.middle, line = new Length(frame.toFilm([u - frame.box.w / 8, v]));
      line.drag("b", frame.toFilm([u + frame.box.w / 8, v]));
      keep(view, line);
    } else if (arrow) {
      view.frame.move((arrow[0] * view.frame.box.w) / 10, (arrow[1] * view.frame.box.h) / 10);
      redrawAll(view);
    } else if (actOf(event.key)) {
      acts[actOf(event.key)](event);
    } else return;
    event.preventDefault();
  });

  return { find, on, refresh, onFilm, insideFilm, drop, stop: root.stop };
}
