// One film in an SVG, in the film's own pixels: the wheel or two fingers zoom about where they are, dragging pans, dragging
// with Shift held sets window and level, a double click resets. Arrow keys ask for the previous or next film.
import { listening, outlined, shape, showFilm } from "./film.js"
import { Pinch, wheelFactor } from "./pinch.js"

const TYPING = "input, textarea, select, [contenteditable=true], [role=radiogroup], [role=slider], [role=combobox], [role=tablist]"

export default function ({ data, parentElement, setTriggerValue }) {
  const find = name => parentElement.querySelector(name)
  const svg = find("svg"), width = find(".width"), level = find(".level"), note = find(".note")
  const on = listening(svg)

  const whole = { x: 0, y: 0, w: data.width, h: data.height }
  if (showFilm(svg, data)) {
    // another film: whole again, its own grey levels
    svg.box = { ...whole }
    reset()
  }
  drawMarks()
  look()

  function look() {
    const { x, y, w, h } = svg.box
    svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`)
    // grey g in 0..1 becomes (g - lowest) / width
    const span = Math.max(1, +width.value) / 255, lowest = +level.value / 255 - span / 2
    const sign = svg.inverted ? -1 : 1
    for (const channel of svg.querySelectorAll("feFuncR, feFuncG, feFuncB")) {
      channel.setAttribute("slope", sign / span)
      channel.setAttribute("intercept", (svg.inverted ? 1 : 0) - sign * lowest / span)
    }
    note.textContent = `${Math.round(100 * data.width / w)}% · window ${width.value} · level ${level.value}`
  }

  function reset() {
    Object.assign(svg.box, whole)
    width.value = 255
    level.value = 127.5
    svg.inverted = false
  }

  function zoom(factor, px = 0.5, py = 0.5) {
    const box = svg.box, w = Math.min(whole.w, Math.max(whole.w / 16, box.w / factor)), h = w * whole.h / whole.w
    box.x = Math.min(whole.w - w, Math.max(0, box.x + px * (box.w - w)))
    box.y = Math.min(whole.h - h, Math.max(0, box.y + py * (box.h - h)))
    Object.assign(box, { w, h })
    look()
  }

  function drawMarks() {
    const group = find("g"), size = data.height / 36, named = []
    group.replaceChildren()
    for (const mark of data.marks) {
      const { points, label, colour } = mark, text = shape("text")
      text.setAttribute("fill", colour)
      group.append(outlined(mark))
      const w = 0.55 * size * label.length
      let [x, y] = points.reduce((top, point) => (point[1] < top[1] ? point : top))
      x = Math.max(0, Math.min(x, data.width - w))
      y = Math.max(y - size * 0.3, size * 1.2)
      // no name covers another: a line lower, or, where readers marked the same place, one for all
      const covers = other => Math.abs(other.y - y) < size && x < other.x + other.w && other.x < x + w
      while (named.some(other => covers(other) && other.label !== label)) y += size
      if (named.some(covers)) continue
      named.push({ label, x, y, w })
      text.setAttribute("x", x)
      text.setAttribute("y", y)
      text.setAttribute("font-size", size)
      text.setAttribute("stroke-width", data.height / 450)
      text.textContent = label
      group.append(text)
    }
  }

  // film pixels under a place on the screen; the film may have black bars beside it
  const film = ([x, y]) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM().inverse())
  const zoomAt = (factor, where) => {
    const { x, y } = film(where), box = svg.box
    zoom(factor, (x - box.x) / box.w, (y - box.y) / box.h)
  }
  const pinch = new Pinch() // in places on the screen
  on(svg, "wheel", event => {
    // without a key held down the wheel scrolls the page, as everywhere
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== svg.getRootNode().host) return
    event.preventDefault()
    zoomAt(wheelFactor(event), [event.clientX, event.clientY])
  }, { passive: false })
  on(svg, "pointerdown", event => {
    pinch.down(event.pointerId, [event.clientX, event.clientY])
    svg.setPointerCapture(event.pointerId)
  })
  for (const name of ["pointerup", "pointercancel"]) on(svg, name, event => pinch.up(event.pointerId))
  on(svg, "pointermove", event => {
    const now = [event.clientX, event.clientY], box = svg.box
    const { was, factor, middle } = pinch.move(event.pointerId, now)
    if (!was) return
    if (factor) return zoomAt(factor, middle)
    if (event.shiftKey) {
      width.value = +width.value + now[0] - was[0]
      level.value = +level.value + now[1] - was[1]
    } else {
      const from = film(was), to = film(now)
      box.x = Math.min(whole.w - box.w, Math.max(0, box.x + from.x - to.x))
      box.y = Math.min(whole.h - box.h, Math.max(0, box.y + from.y - to.y))
    }
    look()
  })
  on(svg, "dblclick", () => { reset(); look() })
  on(width, "input", look)
  on(level, "input", look)
  on(find(".in"), "click", () => zoom(1.5))
  on(find(".out"), "click", () => zoom(1 / 1.5))
  on(find(".invert"), "click", () => { svg.inverted = !svg.inverted; look() })
  on(find(".reset"), "click", () => { reset(); look() })
  on(document, "keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    const from = event.composedPath()[0]
    if (!step || event.altKey || event.ctrlKey || event.metaKey || from.closest?.(TYPING)) return
    event.preventDefault()
    setTriggerValue("step", step)
  })
  return svg.stop
}
