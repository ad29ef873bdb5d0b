// A film to draw boxes on, in the film's own pixels: press, drag, let go. Escape drops the box begun.
import { listening, outlined, showFilm } from "./film.js"

const LEAST = 0.004 // of the film's long side: a smaller one was a click

export default function ({ data, parentElement, setTriggerValue }) {
  const svg = parentElement.querySelector("svg")
  const on = listening(svg)

  if (showFilm(svg, data)) svg.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`)
  svg.querySelector("g").replaceChildren(...data.marks.map(outlined))

  const place = event => {
    const box = svg.getBoundingClientRect(), scale = Math.min(box.width / data.width, box.height / data.height)
    const left = box.x + (box.width - data.width * scale) / 2, top = box.y + (box.height - data.height * scale) / 2
    const within = (value, most) => Math.min(most, Math.max(0, value))
    return [within((event.clientX - left) / scale, data.width), within((event.clientY - top) / scale, data.height)]
  }
  const rect = svg.querySelector("rect")
  let start = null
  const drop = () => { start = null; rect.setAttribute("width", 0) }
  const spanned = event => {
    const [x, y] = place(event)
    return [Math.min(x, start[0]), Math.min(y, start[1]), Math.abs(x - start[0]), Math.abs(y - start[1])]
  }
  on(svg, "pointerdown", event => {
    if (event.button !== 0) return
    event.preventDefault()
    start = place(event)
    svg.setPointerCapture(event.pointerId)
  })
  on(svg, "pointermove", event => {
    if (!start) return
    const [x, y, w, h] = spanned(event)
    for (const [name, value] of Object.entries({ x, y, width: w, height: h })) rect.setAttribute(name, value)
  })
  on(svg, "pointerup", event => {
    if (!start) return
    const box = spanned(event).map(value => Math.round(value * 10) / 10)
    drop()
    if (Math.min(box[2], box[3]) >= LEAST * Math.max(data.width, data.height)) setTriggerValue("box", box)
  })
  on(svg, "pointercancel", drop)
  on(document, "keydown", event => { if (event.key === "Escape") drop() })
  return svg.stop
}
