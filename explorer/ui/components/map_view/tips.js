// What a hover shows: a film's thumbnail and words, fetched when first needed.
import { element } from "./draw.js";
import { filmKey, hub } from "./hub.js";

const AHEAD = 5; // films near the cursor whose thumbnails are fetched with the one under it

export class Tip {
  constructor(parent) {
    this.box = element("div", parent, "tip");
    this.row = -1;
    this.onFilms = () => this.row >= 0 && this.show();
    hub.addEventListener("films", this.onFilms);
  }

  end() {
    hub.removeEventListener("films", this.onFilms);
  }

  key(row) {
    return filmKey(this.id, row);
  }

  // The cursor came over another film (-1: over none); near() gives the rows around it, nearest first.
  turn(row, near) {
    this.row = row;
    this.show();
    if (row < 0 || hub.films.has(this.key(row))) return;
    this.ask([row, ...near().filter((other) => other !== row)].slice(0, 1 + AHEAD));
  }

  ask(rows) {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => hub.want?.(rows.filter((row) => !hub.films.has(this.key(row)))), 40);
  }

  show() {
    this.box.style.display = this.row < 0 ? "none" : "block";
    if (this.row < 0) return;
    const film = hub.films.get(this.key(this.row));
    this.box.replaceChildren();
    if (!film) return void element("div", this.box, "dim", "…");
    element("img", this.box).src = film.src;
    film.lines.forEach((line, i) => element("div", this.box, i > 1 ? "dim" : "", line));
  }

  hide() {
    this.row = -1;
    this.box.style.display = "none";
  }

  // Beside a place in the window, never beyond its edges.
  place(x, y) {
    const { width, height } = this.box.getBoundingClientRect();
    this.box.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 16 : x + 16)}px`;
    this.box.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - height - 8))}px`;
  }
}
