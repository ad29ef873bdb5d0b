// The panel beside the maps: the film last pointed at, or what is selected.
import { unpackRows } from "./codec.js";
import { element } from "./draw.js";
import { ask, filmOf, hub, keepFilms } from "./hub.js";

const SHEET = 24; // thumbnails that are added whenever the end of the gallery comes into sight
const GLYPHS = { circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼", star: "★" };
const EVENTS = ["film", "films", "clicked", "picked"];

class Side {
  constructor(parent) {
    this.root = element("div", parent, "side");
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "region");
    this.root.setAttribute("aria-label", "Film or selection");
    this.tab = "selection";
    this.onEvent = ({ type }) => {
      if (type === "clicked") this.tab = "film";
      if (type === "picked") this.tab = "selection";
      if (type !== "picked") this.draw();
    };
    for (const type of EVENTS) hub.addEventListener(type, this.onEvent);
  }

  end() {
    for (const type of EVENTS) hub.removeEventListener(type, this.onEvent);
    this.watch?.disconnect();
  }

  update(data) {
    this.data = data;
    if (data.film >= 0 && data.film !== this.pinned) hub.film = data.film;
    this.pinned = data.film;
    keepFilms(data.id, data.cards);
    if (hub.film >= 0) ask(data.id, [hub.film]);
    this.draw();
  }

  // What stands there already stays: a gallery must not jump while films arrive.
  draw() {
    const { data } = this, selection = data.selection, film = hub.film >= 0 && filmOf(data.id, hub.film);
    const shows = selection && this.tab === "selection" ? "selection" : "film";
    const state = JSON.stringify([shows, data.id, shows === "film" ? [hub.film, !!film, !!selection] : selection]);
    if (state !== this.state) {
      this.state = state;
      this.watch?.disconnect();
      this.root.replaceChildren();
      this.root.classList.toggle("beneath", !!selection); // what can be done with a selection stands above
      if (selection) this.drawTabs(shows);
      if (shows === "selection") this.drawSelection(selection);
      else if (film) this.drawFilm(film);
      else element("p", this.root, "dim", hub.film >= 0 ? "…" : data.hint);
    }
    if (shows === "selection") this.fillGallery();
  }

  drawTabs(shows) {
    const tabs = element("div", this.root, "tabs");
    for (const [name, title] of [["selection", "Selection"], ["film", "Film"]]) {
      const tab = element("button", tabs, "", title);
      tab.type = "button";
      tab.setAttribute("aria-pressed", name === shows);
      tab.onclick = () => ((this.tab = name), this.draw());
    }
  }

  drawFilm(film) {
    const picture = element("img", this.root, "film");
    picture.src = film.src;
    picture.alt = `Film ${film.name}`;
    element("h2", this.root, "", `Film ${film.name}`);
    element("p", this.root, "dim", film.where);
    element("p", this.root, "", film.findings);
    element("h3", this.root, "", film.truth);
    const list = element("ul", this.root, "verdicts");
    for (const { regime, colour, symbol, words, score } of film.verdicts) {
      const line = element("li", list);
      element("i", line, "", GLYPHS[symbol] ?? "●").style.color = colour;
      element("span", line, "", regime);
      element("b", line, "", words).title = score;
    }
    if (film.report) element("p", this.root, "report", film.report);
    const links = element("div", this.root, "links");
    for (const [title, address] of Object.entries(this.data.links)) {
      const link = element("a", links, "", title);
      link.href = `${address}&film=${encodeURIComponent(film.name)}`;
      link.onclick = (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab
        event.preventDefault();
        hub.maps?.open(film.row, title);
      };
    }
  }

  drawSelection({ sentence, lifts, note, rows, more: notShown }) {
    if (sentence) element("p", this.root, "", sentence);
    const more = [lifts.slice(0, 5), lifts.slice(5)];
    if (more[0].length) this.drawLifts(this.root, more[0]);
    if (lifts.length) {
      const rest = element("details", this.root);
      element("summary", rest, "", more[1].length ? `${more[1].length} more labels, and how to read this` : "How to read this");
      if (more[1].length) this.drawLifts(rest, more[1]);
      element("p", rest, "dim", note);
    }
    this.sheet = element("div", this.root, "sheet");
    const end = element("p", this.root, "dim", notShown);
    this.rows = unpackRows(rows);
    this.drawn = 0;
    this.watch = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && this.addSheet(), { root: this.root, rootMargin: "200px" });
    this.watch.observe(end);
  }

  // Lifts with their 95% intervals on a logarithmic axis on which the middle is 1, no difference.
  drawLifts(box, lifts) {
    const table = element("table", box, "lifts");
    const ends = Math.max(2, ...this.data.selection.lifts.map(({ lift, high }) => Math.min(32, Math.max(high, 1 / lift))));
    const at = (value) => 50 + 50 * Math.max(-1, Math.min(1, Math.log(Math.max(value, 1e-6)) / Math.log(ends)));
    for (const { label, lift, low, high, count, apart } of lifts) {
      const line = element("tr", table);
      const name = element("th", line, "", label);
      name.scope = "row";
      element("span", name, "dim", count);
      const axis = element("div", element("td", line, "axis"), apart ? "apart" : "");
      Object.assign(element("i", axis, "whisker").style, { left: `${at(low)}%`, right: `${100 - at(high)}%` });
      element("i", axis, "dot").style.left = `${at(lift)}%`;
      element("td", line, "number", `${lift.toFixed(1)}×`).title = `95%: ${low.toFixed(1)} to ${high.toFixed(1)}`;
    }
  }

  addSheet() {
    const next = this.rows.slice(this.drawn, this.drawn + SHEET);
    if (!next.length) return;
    this.drawn += next.length;
    for (const row of next) {
      const film = element("button", this.sheet);
      film.type = "button";
      film.dataset.row = row;
      film.setAttribute("aria-label", `Film in row ${row}`);
      film.onmouseenter = film.onfocus = () => hub.maps?.ring(row);
      film.onmouseleave = film.onblur = () => hub.maps?.leave();
      film.onclick = () => hub.maps?.click(row);
    }
    ask(this.data.id, next.reverse());
    this.fillGallery();
  }

  fillGallery() {
    for (const button of this.sheet.querySelectorAll("button:not(:has(img))")) {
      const film = filmOf(this.data.id, Number(button.dataset.row));
      if (!film) continue;
      const picture = element("img", button);
      picture.src = film.src;
      picture.alt = "";
      button.title = `${film.name}: ${film.findings}`;
      button.setAttribute("aria-label", `Film ${film.name}: ${film.findings}`);
    }
  }
}

const sides = new WeakMap();

export function side({ data, parentElement }) {
  if (!sides.has(parentElement)) sides.set(parentElement, new Side(parentElement));
  const shown = sides.get(parentElement);
  shown.update(data);
  return () => (shown.end(), sides.delete(parentElement));
}
