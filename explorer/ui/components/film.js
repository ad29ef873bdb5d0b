// What the viewer and the pencil share: one film in an SVG, in the film's own pixels, with annotations as shapes.
// The wheel or two fingers zoom about where they are, dragging pans, dragging with Shift held sets window and level, a
// double click resets.
import { Pinch, wheelFactor } from "./pinch.js";

const TYPING =
  "input, textarea, select, canvas, [contenteditable=true], [role=radiogroup], [role=slider], [role=combobox], [role=tablist]";

// Whether a key pressed is for what has the focus, not for the film.
export const isTyping = (event) => Boolean(event.composedPath()[0].closest?.(TYPING));

export const shape = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);

// How to listen until Streamlit runs the component again, which it does whenever Python sends data.
function listening(svg) {
  svg.stop?.();
  const until = new AbortController();
  svg.stop = () => until.abort();
  return (target, name, act, options) => target.addEventListener(name, act, { signal: until.signal, ...options });
}

// True where it is another film than before.
function showFilm(svg, data) {
  if (svg.film === data.film) return false;
  svg.film = data.film;
  svg.setAttribute("aria-label", data.alt);
  svg.style.aspectRatio = `${data.width} / ${data.height}`;
  const image = svg.querySelector("image");
  image.setAttribute("href", data.source);
  image.setAttribute("width", data.width);
  image.setAttribute("height", data.height);
  return true;
}

export function outlined({ points, label, reader, colour }) {
  const [polygon, title] = ["polygon", "title"].map(shape);
  polygon.setAttribute("points", points.map((point) => point.join()).join(" "));
  polygon.setAttribute("stroke", colour);
  title.textContent = `${label}, ${reader}`;
  polygon.append(title);
  return polygon;
}

// The film with its tools. `begin`, given the event of one pointer that goes down, returns what that pointer does in place
// of moving the film, as { move(event), end(event), drop() }, or nothing.
export function stage(parentElement, data, begin = () => null) {
  const find = (name) => parentElement.querySelector(name);
  const svg = find("svg"), width = find(".width"), level = find(".level");
  const on = listening(svg);
  const whole = { x: 0, y: 0, w: data.width, h: data.height };
  if (showFilm(svg, data)) {
    // another film: whole again, its own grey levels
    svg.box = { ...whole };
    reset();
  }
  look();

  function look() {
    const { x, y, w, h } = svg.box;
    svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
    // grey g in 0..1 becomes (g - lowest) / width
    const span = Math.max(1, +width.value) / 255, lowest = +level.value / 255 - span / 2;
    const sign = svg.inverted ? -1 : 1;
    for (const channel of svg.querySelectorAll("feFuncR, feFuncG, feFuncB")) {
      channel.setAttribute("slope", sign / span);
      channel.setAttribute("intercept", (svg.inverted ? 1 : 0) - (sign * lowest) / span);
    }
    find(".note").textContent = `${Math.round((100 * data.width) / w)}% · window ${width.value} · level ${level.value}`;
  }

  function reset() {
    Object.assign(svg.box, whole);
    width.value = 255;
    level.value = 127.5;
    svg.inverted = false;
  }

  function zoom(factor, px = 0.5, py = 0.5) {
    const box = svg.box, w = Math.min(whole.w, Math.max(whole.w / 16, box.w / factor)), h = (w * whole.h) / whole.w;
    box.x = Math.min(whole.w - w, Math.max(0, box.x + px * (box.w - w)));
    box.y = Math.min(whole.h - h, Math.max(0, box.y + py * (box.h - h)));
    Object.assign(box, { w, h });
    look();
  }

  // film pixels under a place on the screen; the film may have black bars beside it
  const film = ([x, y]) => {
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  };
  const zoomAt = (factor, where) => {
    const [x, y] = film(where), box = svg.box;
    zoom(factor, (x - box.x) / box.w, (y - box.y) / box.h);
  };
  const pan = (was, now) => {
    const from = film(was), to = film(now), box = svg.box;
    box.x = Math.min(whole.w - box.w, Math.max(0, box.x + from[0] - to[0]));
    box.y = Math.min(whole.h - box.h, Math.max(0, box.y + from[1] - to[1]));
    look();
  };

  const pinch = new Pinch(); // in places on the screen
  let gesture = null; // what `begin` gave
  const drop = () => {
    gesture?.drop();
    gesture = null;
  };
  const up = (event) => {
    pinch.up(event.pointerId);
    svg.classList.remove("moving");
  };
  on(svg, "wheel", (event) => {
    // without a key held down the wheel scrolls the page, as everywhere
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== svg.getRootNode().host) return;
    event.preventDefault();
    zoomAt(wheelFactor(event), [event.clientX, event.clientY]);
  }, { passive: false });
  on(svg, "pointerdown", (event) => {
    drop(); // a second finger ends what the first began
    pinch.down(event.pointerId, [event.clientX, event.clientY]);
    svg.setPointerCapture(event.pointerId);
    if (pinch.held.size === 1 && !event.shiftKey) gesture = begin(event) ?? null;
    svg.classList.toggle("moving", !gesture);
  });
  on(svg, "pointerup", (event) => {
    up(event);
    const ended = gesture;
    gesture = null;
    ended?.end(event);
  });
  on(svg, "pointercancel", (event) => {
    up(event);
    drop();
  });
  on(svg, "pointermove", (event) => {
    const now = [event.clientX, event.clientY];
    const { was, factor, middle, before } = pinch.move(event.pointerId, now);
    if (!was) return;
    if (factor) {
      pan(before, middle);
      zoomAt(factor, middle);
    } else if (gesture) {
      gesture.move(event);
    } else if (event.shiftKey) {
      width.value = +width.value + now[0] - was[0];
      level.value = +level.value + now[1] - was[1];
      look();
    } else {
      pan(was, now);
    }
  });
  on(svg, "dblclick", () => { reset(); look(); });
  on(width, "input", look);
  on(level, "input", look);
  on(find(".in"), "click", () => zoom(1.5));
  on(find(".out"), "click", () => zoom(1 / 1.5));
  on(find(".invert"), "click", () => { svg.inverted = !svg.inverted; look(); });
  on(find(".reset"), "click", () => { reset(); look(); });
  return { find, svg, on, film, drop };
}
