// Copies the address, and completes it: what the page fills in by itself takes the place of the address it completes.
// The server numbers what it sends by time, so that a button drawn again never brings an older address back.
const embedding = name => /^embed(_options)?$/i.test(name)

// On a phone the menu lies over the page: a tap on a page's name closes it.
if (!globalThis.cxrMenuCloses) {
  globalThis.cxrMenuCloses = true
  document.addEventListener("click", event => {
    if (event.target.closest("[data-testid=stSidebarNavLink]"))
      document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click()
  })
}

// A row of views that scrolls sideways shows the one that is open, whichever way it was opened.
if (!globalThis.cxrShowsChosen) {
  let waiting = 0
  const show = () => {
    waiting = 0
    const row = document.querySelector(".st-key-controls"), chosen = row?.querySelector("[aria-checked=true]")
    if (!chosen || row.cxrShown === chosen.textContent || row.scrollWidth <= row.clientWidth) return
    row.cxrShown = chosen.textContent
    const [place, room] = [chosen.getBoundingClientRect(), row.getBoundingClientRect()]
    if (place.left < room.left || place.right > room.right - 44) // Options lie over the row's end
      row.scrollLeft += (place.left + place.right - room.left - room.right) / 2
  }
  globalThis.cxrShowsChosen = new MutationObserver(() => (waiting ||= requestAnimationFrame(show)))
  globalThis.cxrShowsChosen.observe(document.body, { subtree: true, childList: true, attributeFilter: ["aria-checked"] })
  show()
}

export default function ({ data, parentElement }) {
  if (data.at > (globalThis.cxrAddressAt ?? 0)) {
    globalThis.cxrAddressAt = data.at
    const query = new URLSearchParams(data.query)
    for (const [name, value] of new URLSearchParams(location.search)) if (embedding(name)) query.append(name, value)
    const search = `?${query}`
    if (search !== location.search) history.replaceState(history.state, "", location.pathname + search + location.hash)
  }
  const button = parentElement.querySelector("button"), status = parentElement.querySelector("[role=status]")
  // A new session, after a restart of the server or a long sleep, does not carry out the step that began it.
  if (data.session !== (globalThis.cxrSession ??= data.session)) {
    globalThis.cxrSession = data.session
    status.textContent = "The connection was renewed. What was saved is there. Repeat your last step."
  }
  button.onclick = async () => {
    status.textContent = (await copied(location.href)) ? "Copied" : "Copy the address from the browser's bar"
    clearTimeout(button.timer)
    button.timer = setTimeout(() => (status.textContent = ""), 3000)
  }
}

// Browsers give the clipboard to pages from https or localhost alone; elsewhere a selected text can be copied.
async function copied(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => selected(text))
  return selected(text)
}

function selected(text) {
  const area = document.createElement("textarea")
  area.value = text
  area.style.position = "fixed"
  area.style.opacity = "0"
  document.body.append(area)
  area.select()
  const done = document.execCommand("copy")
  area.remove()
  return done
}
