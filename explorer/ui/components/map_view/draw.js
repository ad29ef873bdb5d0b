// Pixels: the marks of films, one panel with its map, the legends.
import { filmOf } from "./hub.js";
import { Points } from "./points.js";
import { sprite, splat } from "./marks.js";
import { placed } from "./thumbs.js";

export function element(kind, parent, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

const MANY = 20000; // so many films in view are drawn as plain pixels
const LARGEST = 8.5, SMALLEST = 1.4; // a film's diameter in pixels
const COVER = 0.22; // share of a stage that its films cover at most
const FADED = 0.2; // opacity of the films that are not selected
const SIDE = 64; // pixels of a thumbnail on a map

// Torn, faked, both: a bit each, as explorer/analysis/map_trust.py has them.
const DOUBTS = ["slash", "ring", "cross"].map((s) => ({ c: ["#d62f6b"], s, r: 4.5, a: 0.8 }));
const DOUBT_NAMES = ["torn apart by the map", "falsely near on the map", "both"];

export class Panel {
  constructor(parent) {
    const box = element("div", parent, "panel");
    this.title = element("div", box, "title");
    this.stage = element("div", box, "stage");
    this.base = element("canvas", this.stage); // films
    this.marks = element("div", this.stage, "marks"); // signs with their names, thumbnails
    this.top = element("canvas", this.stage, "top"); // what follows the pointer
    this.legend = element("div", box, "legend");
    this.thumbs = [];
    this.top.tabIndex = 0;
    this.top.setAttribute("role", "application");
    this.top.setAttribute("aria-roledescription", "map");
  }

  // What the panel shows: words and signs, a map's layout, and what its films look like.
  dress(given, layout, paint) {
    this.signs = given.marks;
    this.shown = given.thumbs;
    this.title.replaceChildren(given.title);
    element("span", this.title, "", given.note);
    this.top.setAttribute("aria-label", given.alt);
    if (this.paint === paint && this.layout === layout) return;
    Object.assign(this, { paint, layout, points: new Points(layout.xy, paint.codes, paint.styles) });
  }

  // Films at a scale (see points.js); where some are chosen (a flag for each film), the others fade and lie beneath.
  drawFilms(scale, zoom, chosen) {
    const { stage, base, top } = this, { xy, codes, order, films } = this.points, { styles, flags } = this.paint;
    const dpr = devicePixelRatio;
    const width = Math.round(stage.clientWidth * dpr), height = Math.round(stage.clientHeight * dpr);
    for (const canvas of [base, top]) if (canvas.width !== width || canvas.height !== height) (canvas.width = width), (canvas.height = height);
    base.style.transform = "";
    const ctx = base.getContext("2d", { willReadFrequently: true }); // many small marks, and pixels: the processor's work
    ctx.clearRect(0, 0, width, height);
    // The more films in view, the smaller their marks; where small marks must overlap, they let others shine through.
    const inView = order.length / Math.max(1, zoom * zoom), area = stage.clientWidth * stage.clientHeight;
    const room = Math.sqrt((COVER * area) / Math.max(1, inView));
    const diameter = Math.max(SMALLEST, Math.min(LARGEST * Math.min(1.4, Math.max(1, zoom ** 0.2)), room));
    const to = { k: scale.k * dpr, x: scale.x * dpr, y: scale.y * dpr };
    if (inView > MANY) splat(ctx, this.points, styles, to, Math.max(1, Math.round(diameter * dpr)), inView / area, chosen, FADED);
    else {
      const size = (dpr * diameter) / 8; // a mark of radius 4 gets the full diameter
      const sprites = styles.map((style) => sprite(style, size));
      const put = (row) => {
        const mark = sprites[codes[row]], half = mark.width / 2;
        const px = to.x + to.k * xy[2 * row], py = to.y - to.k * xy[2 * row + 1];
        if (px > -half && py > -half && px < width + half && py < height + half) ctx.drawImage(mark, (px - half) | 0, (py - half) | 0);
      };
      const pass = (wanted) => {
        for (const row of films) if (!chosen || chosen[row] === wanted) put(row);
      };
      ctx.globalAlpha = 1;
      order.subarray(0, order.length - films.length).forEach(put); // the ground is pale already
      ctx.globalAlpha = FADED;
      if (chosen) pass(0);
      ctx.globalAlpha = 1;
      pass(1);
    }
    if (!flags) return;
    const doubts = DOUBTS.map((style) => sprite(style, (dpr * Math.max(3, diameter)) / 8));
    for (const row of order) {
      if (!flags[row]) continue;
      const mark = doubts[flags[row] - 1];
      ctx.drawImage(mark, to.x + to.k * xy[2 * row] - mark.width / 2, to.y - to.k * xy[2 * row + 1] - mark.height / 2);
    }
  }

  // What is drawn, moved and stretched from one scale to another.
  stretch(from, to) {
    const f = to.k / from.k;
    this.base.style.transform = `translate(${to.x - f * from.x}px, ${to.y - f * from.y}px) scale(${f})`;
  }

  // A film's place on the stage, in pixels.
  spot({ k, x, y }, row) {
    const { xy } = this.points;
    return [x + k * xy[2 * row], y - k * xy[2 * row + 1]];
  }

  // Thumbnails with room for them, every sign, and the names of those signs that have room.
  drawSigns(scale, filmsId) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    this.marks.replaceChildren();
    const side = width < 360 ? SIDE * 0.75 : SIDE;
    const known = this.shown.filter(({ row }) => row < this.points.codes.length && filmOf(filmsId, row));
    this.thumbs = placed(known.map((thumb) => ({ ...thumb, at: this.spot(scale, thumb.row) })), side, width, height,
      (box) => this.points.count(scale, box));
    for (const { row, kind, box } of this.thumbs) {
      const made = element("img", this.marks, `thumb ${kind}`);
      made.src = filmOf(filmsId, row).src;
      made.alt = "";
      Object.assign(made.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${side}px`, height: `${side}px` });
    }
    const names = [];
    for (const mark of this.signs) {
      const px = scale.x + scale.k * mark.x, py = scale.y - scale.k * mark.y;
      if (px < 0 || py < 0 || px > width || py > height) continue;
      const made = element("div", this.marks, `mark ${mark.kind}${px > width * 0.6 ? " left" : ""}`);
      made.style.left = `${px}px`;
      made.style.top = `${py}px`;
      if (mark.sign) element("i", made, "", mark.sign).style.color = mark.colour;
      names.push({ text: element("b", made, "", mark.text), sign: mark.sign && { left: px - 5, right: px + 5, top: py - 5, bottom: py + 5 } });
    }
    const frame = this.stage.getBoundingClientRect(), taken = this.thumbs.map(({ box }) => box);
    for (const one of names) {
      const box = one.text.getBoundingClientRect();
      const left = Math.max(3, Math.min(width - 3 - box.width, box.left - frame.left)), top = box.top - frame.top;
      const here = { left, right: left + box.width, top, bottom: top + box.height };
      one.text.style.translate = `${left - box.left + frame.left}px`; // no name is cut off at an edge
      const meets = (other) => here.left < other.right && other.left < here.right && here.top < other.bottom && other.top < here.bottom;
      if (taken.some(meets) || names.some((other) => other !== one && other.sign && meets(other.sign))) one.text.remove();
      else taken.push(here);
    }
  }

  // The thumbnails' leaders, the film in the address, the film under the cursor, the box or lasso in progress.
  drawTop(scale, address, hovered, line) {
    const ctx = this.top.getContext("2d"), dpr = devicePixelRatio, { codes } = this.points;
    const { color: ink, backgroundColor: paper } = getComputedStyle(this.stage);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx.clearRect(0, 0, this.top.width, this.top.height);
    for (const { at: [px, py], box } of this.thumbs) {
      const bx = Math.max(box.left, Math.min(px, box.right)), by = Math.max(box.top, Math.min(py, box.bottom));
      for (const [colour, wide] of [[paper, 4], [ink, 1.5]]) {
        ctx.lineWidth = wide;
        ctx.strokeStyle = ctx.fillStyle = colour;
        ctx.beginPath();
        ctx.moveTo(bx, by), ctx.lineTo(px, py);
        ctx.stroke();
        ctx.beginPath();
        ctx.arc(px, py, 1.5 + wide / 1.5, 0, 7);
        ctx.fill();
      }
    }
    const ring = (row, r, width) => {
      if (row < 0 || row >= codes.length) return;
      for (const [colour, wide] of [[paper, width + 3], [ink, width]]) {
        ctx.beginPath();
        ctx.arc(...this.spot(scale, row), r, 0, 7);
        ctx.lineWidth = wide;
        ctx.strokeStyle = colour;
        ctx.stroke();
      }
    };
    ring(address, 9, 3);
    ring(hovered, 7, 1.5);
    if (!line) return;
    ctx.beginPath();
    line.forEach(([px, py], i) => (i ? ctx.lineTo(px, py) : ctx.moveTo(px, py)));
    ctx.closePath();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = ink;
    ctx.setLineDash([6, 4]);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.globalAlpha = 0.08;
    ctx.fillStyle = ink;
    ctx.fill();
    ctx.globalAlpha = 1;
  }
}

// One legend for all panels where they agree, else one beneath each; then one for the signs drawn, whatever they are.
export function drawLegends(shared, panels, { words, address, selected }) {
  const texts = panels.map((panel) => JSON.stringify(panel.paint.legend));
  const agree = texts.every((one) => one === texts[0]);
  shared.replaceChildren();
  for (const panel of panels) panel.legend.replaceChildren();
  if (agree) fillLegend(shared, panels[0].paint.legend);
  else for (const panel of panels) fillLegend(panel.legend, panel.paint.legend);
  const has = (test) => panels.some(test);
  if (has(({ paint }) => paint.flags)) fillLegend(shared, DOUBTS.map((style, i) => ({ style, name: DOUBT_NAMES[i] })));
  for (const [sign, name, colour] of words) if (has(({ signs }) => signs.some((one) => one.sign === sign))) textSign(shared, sign, name, colour);
  for (const kind of ["centroid", "typical"])
    if (has(({ shown }) => shown.some((one) => one.kind === kind)))
      element("span", shared).append(element("i", shared, `frame ${kind}`), panels.flatMap(({ shown }) => shown).find((one) => one.kind === kind).name);
  if (address >= 0) textSign(shared, "◯", "film in the address");
  if (selected) textSign(shared, "", `${selected.toLocaleString("en")} in colour, the others faded`);
}

function textSign(box, sign, name, colour = "inherit") {
  const line = element("span", box);
  if (sign) element("b", line, "", sign).style.color = colour;
  line.append(name);
}

function fillLegend(box, legend) {
  for (const entry of legend) {
    const line = element("span", box);
    if (entry.ramp) {
      element("span", line, "", entry.low);
      element("span", line, "ramp").style.background = `linear-gradient(90deg, ${entry.ramp.join(",")})`;
      element("span", line, "", entry.high);
    } else {
      const clear = entry.style.ground ? {} : { a: 1, r: Math.max(entry.style.r, 4) };
      const mark = sprite({ ...entry.style, ...clear }, devicePixelRatio * 1.1);
      mark.style.width = `${mark.width / devicePixelRatio}px`;
      line.append(mark, entry.name);
    }
  }
}
