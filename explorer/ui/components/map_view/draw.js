// Pixels: the marks of films, one panel with its map, the legends.
import { Points } from "./points.js";

export function element(kind, parent, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// A style is {c: [colours], s: shape, r: radius, a: opacity}; several colours make a pie.
function sprite(style, zoom) {
  const r = Math.max(style.r * zoom, 0.75 * devicePixelRatio), pad = 1.5 * devicePixelRatio;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil(2 * (r + pad));
  const ctx = canvas.getContext("2d"), m = canvas.width / 2;
  ctx.globalAlpha = style.a;
  ctx.lineWidth = Math.max(1, r / 3);
  style.c.forEach((colour, i) => {
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.beginPath();
    const step = (2 * Math.PI) / style.c.length, turn = -Math.PI / 2;
    if (style.s === "ring") ctx.arc(m, m, r - ctx.lineWidth / 2, 0, 7), ctx.stroke();
    else if (style.s === "cross" || style.s === "slash") {
      ctx.lineWidth = Math.max(1.2, r / 2.2);
      ctx.moveTo(m - r, m + r), ctx.lineTo(m + r, m - r);
      if (style.s === "cross") ctx.moveTo(m - r, m - r), ctx.lineTo(m + r, m + r);
      ctx.stroke();
    } else if (style.s === "triangle") ctx.moveTo(m, m - r), ctx.lineTo(m + r, m + r * 0.8), ctx.lineTo(m - r, m + r * 0.8), ctx.fill();
    else if (style.s === "diamond") ctx.moveTo(m, m - r), ctx.lineTo(m + r, m), ctx.lineTo(m, m + r), ctx.lineTo(m - r, m), ctx.fill();
    else if (style.c.length === 1) ctx.arc(m, m, r, 0, 7), ctx.fill();
    else ctx.moveTo(m, m), ctx.arc(m, m, r, turn + i * step, turn + (i + 1) * step), ctx.fill();
  });
  return canvas;
}

const DOUBTS = ["slash", "ring", "cross"].map((s) => ({ c: ["#d62f6b"], s, r: 5, a: 0.75 })); // torn, faked, both

export class Panel {
  constructor(parent) {
    const box = element("div", parent, "panel");
    this.title = element("div", box, "title");
    this.stage = element("div", box, "stage");
    this.base = element("canvas", this.stage); // films
    this.marks = element("div", this.stage, "marks"); // signs and their names
    this.top = element("canvas", this.stage, "top"); // what follows the pointer
    this.legend = element("div", box, "legend");
    this.top.tabIndex = 0;
    this.top.setAttribute("role", "img");
  }

  // What the panel shows: words and signs, a map's layout, and what its films look like.
  dress(given, layout, paint, height) {
    this.signs = given.marks;
    this.stage.style.height = `${height}px`;
    this.title.replaceChildren(given.title);
    element("span", this.title, "", given.note);
    this.top.setAttribute("aria-label", given.alt);
    if (this.paint === paint && this.layout === layout) return;
    Object.assign(this, { paint, layout, points: new Points(layout.xy, paint.codes) });
  }

  // Films at a scale (see points.js); where some are chosen, the others fade and lie beneath.
  drawFilms(scale, zoom, chosen) {
    const { stage, base, top } = this, { xy, codes, order } = this.points, { styles, flags } = this.paint;
    const dpr = devicePixelRatio;
    const width = Math.round(stage.clientWidth * dpr), height = Math.round(stage.clientHeight * dpr);
    for (const canvas of [base, top]) if (canvas.width !== width || canvas.height !== height) (canvas.width = width), (canvas.height = height);
    base.style.transform = "";
    const ctx = base.getContext("2d");
    ctx.clearRect(0, 0, width, height);
    // the more films and the smaller the panel, the smaller the marks; closer up they grow a little
    const crowd = Math.min(1, Math.sqrt(3000 / order.length)) * Math.min(1, 0.6 + stage.clientHeight / 1500);
    const size = dpr * Math.max(0.45, crowd) * Math.min(2, zoom ** 0.35);
    const sprites = styles.map((style) => sprite(style, size));
    const kd = scale.k * dpr, xd = scale.x * dpr, yd = scale.y * dpr;
    const some = chosen.size > 0;
    const pass = (wanted) => {
      for (const row of order) {
        if (some && chosen.has(row) !== wanted) continue;
        const mark = sprites[codes[row]], half = mark.width / 2;
        const px = xd + kd * xy[2 * row], py = yd - kd * xy[2 * row + 1];
        if (px > -half && py > -half && px < width + half && py < height + half) ctx.drawImage(mark, (px - half) | 0, (py - half) | 0);
      }
    };
    ctx.globalAlpha = some ? 0.22 : 1;
    pass(false);
    ctx.globalAlpha = 1;
    if (some) pass(true);
    if (flags) {
      const doubts = DOUBTS.map((style) => sprite(style, size));
      for (const row of order) {
        if (!flags[row]) continue;
        const mark = doubts[flags[row] - 1];
        ctx.drawImage(mark, xd + kd * xy[2 * row] - mark.width / 2, yd - kd * xy[2 * row + 1] - mark.height / 2);
      }
    }
  }

  // What is drawn, moved and stretched from one scale to another.
  stretch(from, to) {
    const f = to.k / from.k;
    this.base.style.transform = `translate(${to.x - f * from.x}px, ${to.y - f * from.y}px) scale(${f})`;
  }

  // Every sign, and the names of those that have room.
  drawSigns({ k, x, y }) {
    const { clientWidth: width, clientHeight: height } = this.stage;
    this.marks.replaceChildren();
    const placed = [];
    for (const mark of this.signs) {
      const px = x + k * mark.x, py = y - k * mark.y;
      if (px < 0 || py < 0 || px > width || py > height) continue;
      const made = element("div", this.marks, `mark ${mark.kind}${px > width * 0.6 ? " left" : ""}`);
      made.style.left = `${px}px`;
      made.style.top = `${py}px`;
      if (mark.sign) element("i", made, "", mark.sign).style.color = mark.colour;
      placed.push({ text: element("b", made, "", mark.text), sign: mark.sign && { left: px - 5, right: px + 5, top: py - 5, bottom: py + 5 } });
    }
    const frame = this.stage.getBoundingClientRect(), taken = [];
    for (const one of placed) {
      const box = one.text.getBoundingClientRect();
      const here = { left: box.left - frame.left, right: box.right - frame.left, top: box.top - frame.top, bottom: box.bottom - frame.top };
      const meets = (other) => here.left < other.right && other.left < here.right && here.top < other.bottom && other.top < here.bottom;
      if (taken.some(meets) || placed.some((other) => other !== one && other.sign && meets(other.sign))) one.text.remove();
      else taken.push(here);
    }
  }

  // The film in the address, the film under the cursor, the box or lasso in progress (a line of pixels, or none).
  drawTop({ k, x, y }, address, hovered, line) {
    const ctx = this.top.getContext("2d"), dpr = devicePixelRatio, { xy, codes } = this.points;
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx.clearRect(0, 0, this.top.width, this.top.height);
    const ring = (row, r, colour, width) => {
      if (row < 0 || row >= codes.length) return;
      ctx.beginPath();
      ctx.arc(x + k * xy[2 * row], y - k * xy[2 * row + 1], r, 0, 7);
      ctx.lineWidth = width;
      ctx.strokeStyle = colour;
      ctx.stroke();
    };
    ring(address, 9, "#e0457b", 3);
    ring(hovered, 7, "#3a9bdc", 2.5);
    if (!line) return;
    ctx.beginPath();
    line.forEach(([px, py], i) => (i ? ctx.lineTo(px, py) : ctx.moveTo(px, py)));
    ctx.closePath();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = "#3a9bdc";
    ctx.fillStyle = "rgba(58,155,220,.12)";
    ctx.fill();
    ctx.stroke();
  }
}

// One legend for all panels where they agree, else one beneath each.
export function drawLegends(shared, panels) {
  const texts = panels.map((panel) => JSON.stringify(panel.paint.legend));
  const agree = texts.every((one) => one === texts[0]);
  shared.replaceChildren();
  for (const panel of panels) panel.legend.replaceChildren();
  if (agree) fillLegend(shared, panels[0].paint.legend);
  else for (const panel of panels) fillLegend(panel.legend, panel.paint.legend);
}

function fillLegend(box, legend) {
  for (const entry of legend) {
    const line = element("span", box);
    if (entry.ramp) {
      element("span", line, "", entry.low);
      element("span", line, "ramp").style.background = `linear-gradient(90deg, ${entry.ramp.join(",")})`;
      element("span", line, "", entry.high);
    } else {
      const mark = sprite({ ...entry.style, a: 1, r: Math.max(entry.style.r, 4) }, devicePixelRatio * 1.1);
      mark.style.width = `${mark.width / devicePixelRatio}px`;
      line.append(mark, entry.name);
    }
  }
}
