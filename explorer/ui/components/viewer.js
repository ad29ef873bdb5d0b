// Films to look at, each annotation under its label's name. Arrow keys ask for the previous or next film.
import { films, isTyping, outlined, shape } from "./film_view/film.js";

const STEPS = [{ keys: [], shown: "← →", what: "previous, next film" }];

export default function ({ data, parentElement, setTriggerValue }) {
  const { on, stop } = films(parentElement, data, {
    marks,
    rows: data.steps ? STEPS : [],
    onOpen: (film) => setTriggerValue("opened", film),
  });

  // Outlines turn with the film; their names stay upright.
  function marks({ film, shown, view: { frame } }) {
    const size = film.height / 36, named = [], upright = [];
    for (const { points, label, colour } of shown.marks) {
      const w = 0.55 * size * label.length, placed = points.map((point) => frame.toFrame(point));
      let [x, y] = placed.reduce((top, point) => (point[1] < top[1] ? point : top));
      x = Math.max(0, Math.min(x, frame.whole.w - w));
      y = Math.max(y - size * 0.3, size * 1.2);
      // no name covers another: a line lower, or, where readers marked the same place, one for all
      const covers = (other) => Math.abs(other.y - y) < size && x < other.x + other.w && other.x < x + w;
      while (named.some((other) => covers(other) && other.label !== label)) y += size;
      if (named.some(covers)) continue;
      named.push({ label, x, y, w });
      const text = shape("text", { fill: colour, x, y, "font-size": size, "stroke-width": film.height / 450 });
      text.textContent = label;
      upright.push(text);
    }
    return { turned: shown.marks.map(outlined), upright };
  }

  on(document, "keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!data.steps || !step || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey || isTyping(event)) return;
    event.preventDefault();
    setTriggerValue("step", step);
  });
  return stop;
}
