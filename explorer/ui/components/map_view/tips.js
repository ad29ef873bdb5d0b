// The card beside the film under the pointer: its thumbnail, its name, its findings.
import { element } from "./draw.js";
import { filmOf, hub } from "./hub.js";

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

  turn(row) {
    this.row = row;
    this.show();
  }

  show() {
    this.box.style.display = this.row < 0 ? "none" : "block";
    if (this.row < 0) return;
    const film = filmOf(this.id, this.row);
    this.box.replaceChildren();
    if (!film) return void element("div", this.box, "", "…");
    const picture = element("img", this.box);
    picture.src = film.src;
    picture.alt = "";
    element("div", this.box, "", film.name);
    element("div", this.box, "dim", film.findings);
  }

  hide() {
    this.turn(-1);
  }

  // Beside a place in the window, never beyond its edges.
  place(x, y) {
    const { width, height } = this.box.getBoundingClientRect();
    this.box.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 16 : x + 16)}px`;
    this.box.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - height - 8))}px`;
  }
}
