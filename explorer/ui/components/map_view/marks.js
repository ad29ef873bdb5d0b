// How one film looks: a sprite each while there are few, plain pixels where there are very many.

// A style is {c: [colours], s: shape, r: radius, a: opacity}; several colours make a pie.
export function sprite(style, zoom) {
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

const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

// Films as squares of `side` pixels: shapes cannot be told apart at this size. The denser the films (in films a pixel),
// the more they let shine through, so that dense places stand out. Films of one colour lie together in `order`: they are
// counted, and what c of them let through is the c-th power of what one does.
export function splat(ctx, { xy, codes, order }, styles, { k, x, y }, side, dense, chosen, faded) {
  const { width, height } = ctx.canvas;
  const light = new Float32Array(width * height * 4); // premultiplied red, green, blue; opacity
  const counts = new Uint16Array(width * height), touched = new Uint32Array(width * height);
  const opacity = Math.max(0.15, Math.min(0.9, 0.8 / Math.sqrt(dense * side * side)));
  const left = x - side / 2 + 0.5, top = y - side / 2 + 0.5;
  const lay = (from, to, wanted, part, parts, [r, g, b], a) => {
    let n = 0;
    for (let i = from; i < to; i++) {
      const row = order[i];
      if ((chosen && chosen[row] !== wanted) || (parts > 1 && row % parts !== part)) continue;
      const px = Math.floor(left + k * xy[2 * row]), py = Math.floor(top - k * xy[2 * row + 1]);
      if (px < 0 || py < 0 || px + side > width || py + side > height) continue;
      for (let j = py; j < py + side; j++)
        for (let at = j * width + px, end = at + side; at < end; at++) if (!counts[at]++) touched[n++] = at;
    }
    const through = Float32Array.from({ length: 64 }, (_, c) => (1 - a) ** c); // more films than that hide all beneath
    for (let i = 0; i < n; i++) {
      const at = 4 * touched[i], rest = through[Math.min(63, counts[touched[i]])], fresh = 1 - rest;
      light[at] = r * fresh + light[at] * rest;
      light[at + 1] = g * fresh + light[at + 1] * rest;
      light[at + 2] = b * fresh + light[at + 2] * rest;
      light[at + 3] = fresh + light[at + 3] * rest;
      counts[touched[i]] = 0;
    }
  };
  const pass = (wanted, strength) => {
    for (let from = 0, to = 0; from < order.length; from = to) {
      const code = codes[order[from]], { c, a } = styles[code]; // of a pie, films take its colours in turn
      while (to < order.length && codes[order[to]] === code) to++;
      c.forEach((colour, part) => lay(from, to, wanted, part, c.length, rgb(colour), a * strength));
    }
  };
  if (chosen) pass(0, opacity * faded);
  pass(1, opacity);
  const image = ctx.createImageData(width, height), out = image.data;
  for (let at = 0; at < light.length; at += 4) {
    const a = light[at + 3];
    if (!a) continue;
    out[at] = light[at] / a;
    out[at + 1] = light[at + 1] / a;
    out[at + 2] = light[at + 2] / a;
    out[at + 3] = 255 * a;
  }
  ctx.putImageData(image, 0, 0);
}
