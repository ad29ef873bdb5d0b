// Lengths and the cardiothoracic ratio. Measures are in the film's pixels, shown and never kept.
//
// The ratio is three horizontal lines: from the midline to the heart's border on either side, and the thorax at its
// widest. Its places are in the frame as the film was turned when it began, so that its lines stay horizontal.

const DECIMALS = (value) => (value < 10 ? 2 : value < 100 ? 1 : 0);

const shown = (value, unit) => `${value.toFixed(DECIMALS(value))} ${unit}`;

// Distance between two places on the film: in mm where the header says how far its pixels lie apart.
export function distance([x0, y0], [x1, y1], spacing) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  return spacing ? Math.hypot(dx * spacing.column, dy * spacing.row) : Math.hypot(dx, dy);
}

export const unitOf = (spacing) => (spacing ? "mm" : "px");

// What a millimetre means on this film.
export const whereOf = (spacing) => (!spacing ? "in pixels: the file has no spacing" : spacing.at_detector ? "at the detector" : "by PixelSpacing");

export class Length {
  name = "Length";

  constructor(start) {
    Object.assign(this, { a: start, b: start });
  }

  // Lines, each as two places on the film.
  get lines() {
    return [[this.a, this.b]];
  }

  get handles() {
    return { a: ["First end", this.a], b: ["Second end", this.b] };
  }

  drag(handle, place) {
    this[handle] = place;
  }

  text(spacing) {
    return shown(distance(this.a, this.b, spacing), unitOf(spacing));
  }
}

export class HeartRatio {
  name = "Cardiothoracic ratio";

  // Lines over the middle of what is seen, to be dragged to the borders.
  constructor(frame) {
    const { x, y, w, h } = frame.box;
    this.frame = frame;
    this.matrix = frame.matrix;
    this.at = { middle: x + 0.5 * w, left: x + 0.4 * w, right: x + 0.67 * w, from: x + 0.14 * w, to: x + 0.86 * w };
    this.high = { left: y + 0.52 * h, right: y + 0.58 * h, thorax: y + 0.66 * h };
    this.top = y + 0.15 * h;
  }

  place(u, v) {
    return this.frame.toFilm([u, v], this.matrix);
  }

  get lines() {
    const { at, high } = this;
    return [
      [this.place(at.middle, high.left), this.place(at.left, high.left)],
      [this.place(at.middle, high.right), this.place(at.right, high.right)],
      [this.place(at.from, high.thorax), this.place(at.to, high.thorax)],
      [this.place(at.middle, this.top), this.place(at.middle, high.thorax)],
    ];
  }

  get handles() {
    const { at, high } = this;
    return {
      left: ["Heart's border, left in the picture", this.place(at.left, high.left)],
      right: ["Heart's border, right in the picture", this.place(at.right, high.right)],
      from: ["Inner edge of the ribs, left in the picture", this.place(at.from, high.thorax)],
      to: ["Inner edge of the ribs, right in the picture", this.place(at.to, high.thorax)],
      middle: ["Midline", this.place(at.middle, this.top)],
    };
  }

  drag(handle, place) {
    const [u, v] = this.frame.toFrame(place, this.matrix), line = { from: "thorax", to: "thorax" }[handle] ?? handle;
    this.at[handle] = u;
    if (line === "middle") this.top = v;
    else this.high[line] = v;
  }

  ratio(spacing) {
    const [left, right, thorax] = this.lines.slice(0, 3).map(([from, to]) => distance(from, to, spacing));
    return { heart: left + right, thorax, ratio: (left + right) / thorax };
  }

  text(spacing) {
    const { heart, thorax, ratio } = this.ratio(spacing), unit = unitOf(spacing);
    return `CTR ${ratio.toFixed(2)} = ${shown(heart, unit)} / ${shown(thorax, unit)}`;
  }
}
