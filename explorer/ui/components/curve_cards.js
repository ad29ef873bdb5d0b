// One card for each label: its name, its counts, its curves. A click opens the label.
export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector(".cards")
  grid.replaceChildren(...data.cards.map(({ title, note, html }, place) => {
    const card = document.createElement("button"), name = document.createElement("strong")
    const counts = document.createElement("small"), picture = document.createElement("div")
    card.type = "button"
    name.textContent = title
    counts.textContent = note
    picture.innerHTML = html // numbers and colours alone, drawn by the server
    card.append(name, " ", counts, picture)
    card.onclick = () => setTriggerValue("opened", place)
    return card
  }))
}
