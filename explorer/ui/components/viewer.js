// A film to look at, each annotation under its label's name. Arrow keys ask for the previous or next film.
import { isTyping, outlined, shape, stage } from "./film.js"

export default function ({ data, parentElement, setTriggerValue }) {
  const { find, svg, on } = stage(parentElement, data)
  drawMarks()

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

  on(document, "keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    if (!step || event.altKey || event.ctrlKey || event.metaKey || isTyping(event)) return
    event.preventDefault()
    setTriggerValue("step", step)
  })
  return svg.stop
}
