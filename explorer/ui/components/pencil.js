// A film to draw boxes on, in the film's own pixels: press, drag, let go. A tap on a mark of one's own offers to delete it.
//
// What the reader does is shown at once and sent to Python as a list of acts, numbered in order. It is sent whole until
// Python has answered, and Python does each number once: no act is lost where two come in one run.
import { isTyping, outlined, stage } from "./film.js"

const LEAST = 0.004 // of the film's long side: a smaller box was a tap
const NEAR = 6 // pixels of the screen: a finger that moves less has tapped, and a tap this near is on a mark
const COLOUR = "#ffffff" // of what is not saved yet

export default function ({ data, parentElement, setTriggerValue }) {
  const { find, svg, on, film, drop } = stage(parentElement, data, begin)
  const move = find(".move"), undo = find(".undo"), confirm = find(".confirm")
  svg.acts = (svg.acts ?? []).filter(({ id }) => id > data.answered)
  if (!data.marks.some(({ mark }) => mark === svg.tapped)) svg.tapped = null
  show()

  function show(begun = null) {
    const waiting = svg.acts.filter(act => act.film === data.film && act.label === data.label)
    const deleted = waiting.map(({ mark }) => mark)
    const drawn = data.marks.map(one => {
      const polygon = outlined(one)
      polygon.classList.toggle("waiting", one.own && deleted.includes(one.mark))
      polygon.classList.toggle("tapped", one.own && one.mark === svg.tapped)
      return polygon
    })
    const boxes = [...waiting.filter(({ does }) => does === "draw").map(({ box }) => box), ...(begun ? [begun] : [])]
    const dashed = boxes.map(box => {
      const polygon = outlined({ points: corners(box), label: data.label, reader: "not saved yet", colour: COLOUR })
      polygon.classList.add("waiting")
      return polygon
    })
    find("g").replaceChildren(...drawn, ...dashed)
    svg.classList.toggle("drawing", data.pen && !svg.moves)
    move.hidden = undo.hidden = !data.pen
    move.setAttribute("aria-pressed", Boolean(svg.moves))
    undo.disabled = !data.undo && !waiting.some(({ does }) => does === "draw")
    confirm.hidden = !svg.tapped
  }

  function ask(does, what = {}) {
    const id = Math.max(Date.now(), data.answered + svg.acts.length + 1) // above every number before
    svg.acts.push({ id, does, film: data.film, label: data.label, ...what })
    setTriggerValue("acts", svg.acts)
    show()
  }

  // The middle button moves the film, as everything does while Move is on.
  function begin(event) {
    if (!data.pen || svg.moves || event.button !== 0) return null
    const from = [event.clientX, event.clientY]
    const inside = event => film([event.clientX, event.clientY]).map(
      (value, axis) => Math.min([data.width, data.height][axis], Math.max(0, value)))
    const start = inside(event)
    const box = event => {
      const [x, y] = inside(event)
      return [Math.min(x, start[0]), Math.min(y, start[1]), Math.abs(x - start[0]), Math.abs(y - start[1])]
    }
    return {
      move: event => show(box(event)),
      drop: () => show(),
      end: event => {
        const done = box(event).map(value => Math.round(value * 10) / 10)
        if (Math.hypot(event.clientX - from[0], event.clientY - from[1]) < NEAR) tap(event)
        else if (Math.min(done[2], done[3]) >= LEAST * Math.max(data.width, data.height)) ask("draw", { box: done })
        else show()
      },
    }
  }

  // The smallest mark of one's own whose box is under the pointer.
  function tap(event) {
    const [x, y] = film([event.clientX, event.clientY]), near = NEAR / svg.getScreenCTM().a
    const hit = data.marks.filter(({ own }) => own).map(({ mark, points }) => {
      const xs = points.map(([at]) => at), ys = points.map(([, at]) => at)
      const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]
      const on = left - near <= x && x <= right + near && top - near <= y && y <= bottom + near
      return { mark, on, area: (right - left) * (bottom - top) }
    }).filter(({ on }) => on).sort((one, other) => one.area - other.area)[0]
    choose(hit?.mark ?? null)
    if (hit) find(".delete").focus()
  }

  function choose(mark) {
    svg.tapped = mark
    show()
  }

  on(move, "click", () => { svg.moves = !svg.moves; show() })
  on(undo, "click", () => ask("undo"))
  on(find(".keep"), "click", () => choose(null))
  on(find(".delete"), "click", () => {
    const mark = svg.tapped
    svg.tapped = null
    ask("delete", { mark })
  })
  on(document, "keydown", event => {
    if (event.key === "Escape") {
      drop()
      choose(null)
    }
    const undoes = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey
    if (!undoes || undo.disabled || undo.hidden || isTyping(event)) return
    event.preventDefault()
    ask("undo")
  })
  return svg.stop
}

function corners([x, y, w, h]) {
  return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
}
