// A film to draw boxes on, in the film's own pixels: press, drag, let go. A tap on a mark of one's own offers to delete it.
//
// What the reader does is shown at once and sent to Python as a list of acts, numbered in order. It is sent whole until
// Python has answered, and Python does each number once: no act is lost where two come in one run.
import { films, isTyping, outlined } from "./film_view/film.js";

const LEAST = 0.004; // of the film's long side: a smaller box was a tap
const NEAR = 6; // pixels of the screen: a finger that moves less has tapped, and a tap this near is on a mark
const COLOUR = "#ffffff"; // of what is not saved yet
const OWN_KEYS = [
  { keys: ["D"], what: "draw", hand: "drag; tap a mark of yours to delete it" },
  { keys: [], shown: "Ctrl + Z", what: "undo" },
];

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".viewer");
  root.acts = (root.acts ?? []).filter(({ id }) => id > data.answered);
  const [{ film: name, marks: saved }] = data.panes;
  if (!saved.some(({ mark }) => mark === root.tapped)) root.tapped = null;
  if (!data.pen && root.tool === "draw") root.tool = "move";
  if (data.pen && !root.pen) root.tool = "draw"; // once the reader is named
  root.pen = data.pen;
  let begun = null;
  const stage = films(parentElement, data, { tool: data.pen ? "draw" : "move", begin, marks, rows: OWN_KEYS });
  const { find, on, drop, insideFilm, onFilm, refresh, stop } = stage, undo = find(".undo"), confirm = find(".confirm");
  const waiting = () => root.acts.filter((act) => act.film === name && act.label === data.label);
  show();

  function marks() {
    const acts = root.acts.filter((act) => act.film === name && act.label === data.label);
    const deleted = acts.map(({ mark }) => mark);
    const drawn = saved.map((one) => {
      const polygon = outlined(one);
      polygon.classList.toggle("waiting", one.own && deleted.includes(one.mark));
      polygon.classList.toggle("tapped", one.own && one.mark === root.tapped);
      return polygon;
    });
    const boxes = [...acts.filter(({ does }) => does === "draw").map(({ box }) => box), ...(begun ? [begun] : [])];
    const dashed = boxes.map((box) => {
      const polygon = outlined({ points: corners(box), label: data.label, reader: "not saved yet", colour: COLOUR });
      polygon.classList.add("waiting");
      return polygon;
    });
    return { turned: [...drawn, ...dashed] };
  }

  function show(box = null) {
    begun = box;
    refresh();
    find("[data-tool=draw]").hidden = undo.hidden = !data.pen;
    undo.disabled = !data.undo && !waiting().some(({ does }) => does === "draw");
    confirm.hidden = !root.tapped;
  }

  function ask(does, what = {}) {
    const id = Math.max(Date.now(), data.answered + root.acts.length + 1); // above every number before
    root.acts.push({ id, does, film: name, label: data.label, ...what });
    setTriggerValue("acts", root.acts);
    show();
  }

  function begin(event, pane) {
    if (!data.pen || root.tool !== "draw") return null;
    const from = [event.clientX, event.clientY], inside = (event) => insideFilm(pane, [event.clientX, event.clientY]);
    const start = inside(event);
    const box = (event) => {
      const [x, y] = inside(event);
      return [Math.min(x, start[0]), Math.min(y, start[1]), Math.abs(x - start[0]), Math.abs(y - start[1])];
    };
    return {
      move: (event) => show(box(event)),
      drop: () => show(),
      end: (event) => {
        const done = box(event).map((value) => Math.round(value * 10) / 10);
        if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) < NEAR) tap(event, pane);
        else if (Math.min(done[2], done[3]) >= LEAST * Math.max(pane.film.width, pane.film.height)) { begun = null; ask("draw", { box: done }); }
        else show();
      },
    };
  }

  // The smallest mark of one's own whose box is under the pointer.
  function tap(event, pane) {
    const [x, y] = onFilm(pane, [event.clientX, event.clientY]), near = NEAR / pane.svg.getScreenCTM().a;
    const hit = saved.filter(({ own }) => own).map(({ mark, points }) => {
      const xs = points.map(([at]) => at), ys = points.map(([, at]) => at);
      const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
      const over = left - near <= x && x <= right + near && top - near <= y && y <= bottom + near;
      return { mark, over, area: (right - left) * (bottom - top) };
    }).filter(({ over }) => over).sort((one, other) => one.area - other.area)[0];
    choose(hit?.mark ?? null);
    if (hit) find(".delete").focus();
  }

  function choose(mark) {
    root.tapped = mark;
    show();
  }

  on(undo, "click", () => ask("undo"));
  on(find(".keep"), "click", () => choose(null));
  on(find(".delete"), "click", () => {
    const mark = root.tapped;
    root.tapped = null;
    ask("delete", { mark });
  });
  on(document, "keydown", (event) => {
    if (event.key === "Escape") {
      drop();
      choose(null);
    }
    if (isTyping(event) || event.altKey) return;
    const held = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
    if (key === "d" && !held && data.pen) find("[data-tool=draw]").click();
    else if (key === "z" && held && !event.shiftKey && !undo.disabled && !undo.hidden) ask("undo");
    else return;
    event.preventDefault();
  });
  return stop;
}

function corners([x, y, w, h]) {
  return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]];
}
