// Which part of a film is seen, and how it is turned. A place on the film is in its own pixels; a place in the frame is
// in pixels of the turned film, of which `box` is seen.

const MOST = 32; // times

export class Frame {
  constructor(width, height) {
    Object.assign(this, { width, height });
    this.reset();
  }

  reset() {
    this.turns = 0; // quarters, clockwise
    this.box = { x: 0, y: 0, ...this.whole };
  }

  // Size of the turned film.
  get whole() {
    return this.turns % 2 ? { w: this.height, h: this.width } : { w: this.width, h: this.height };
  }

  get scale() {
    return this.whole.w / this.box.w;
  }

  // The matrix from the film to the frame, as SVG and canvas write it.
  get matrix() {
    const { width, height } = this;
    return [[1, 0, 0, 1, 0, 0], [0, 1, -1, 0, height, 0], [-1, 0, 0, -1, width, height], [0, -1, 1, 0, 0, width]][this.turns];
  }

  toFrame([x, y], [a, b, c, d, e, f] = this.matrix) {
    return [a * x + c * y + e, b * x + d * y + f];
  }

  toFilm([u, v], [a, b, c, d, e, f] = this.matrix) {
    return [a * (u - e) + b * (v - f), c * (u - e) + d * (v - f)]; // the inverse of a turn is its transpose
  }

  // A place on the film, for one in the frame that may lie beside it.
  inside([x, y]) {
    return [Math.min(this.width, Math.max(0, x)), Math.min(this.height, Math.max(0, y))];
  }

  // Zoom about a place of the frame, by default the middle of what is seen.
  zoom(factor, [u, v] = this.middle) {
    const { box, whole } = this, px = (u - box.x) / box.w, py = (v - box.y) / box.h;
    const w = Math.min(whole.w, Math.max(whole.w / MOST, box.w / factor)), h = (w * whole.h) / whole.w;
    this.show(box.x + px * (box.w - w), box.y + py * (box.h - h), w, h);
  }

  move(du, dv) {
    const { x, y, w, h } = this.box;
    this.show(x + du, y + dv, w, h);
  }

  turn(by) {
    const centre = this.toFilm(this.middle), { w, h } = this.box;
    this.turns = (this.turns + by + 4) % 4;
    const [u, v] = this.toFrame(centre), [wide, high] = by % 2 ? [h, w] : [w, h];
    this.show(u - wide / 2, v - high / 2, wide, high);
  }

  get middle() {
    const { x, y, w, h } = this.box;
    return [x + w / 2, y + h / 2];
  }

  show(x, y, w, h) {
    const { whole } = this;
    this.box = { x: Math.min(whole.w - w, Math.max(0, x)), y: Math.min(whole.h - h, Math.max(0, y)), w, h };
  }
}
