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

// Films as squares of `side` pixels, laid over one another in one pass over the numbers: shapes cannot be told apart at
// this size. The denser the films (in films a pixel), the more they let shine through, so that dense places stand out.
export function splat(ctx, { xy, codes, order }, styles, { k, x, y }, side, dense, chosen, faded) {
  const { width, height } = ctx.canvas;
  const light = new Float32Array(width * height * 4); // premultiplied red, green, blue; opacity
  const opacity = Math.max(0.15, Math.min(0.9, 0.8 / Math.sqrt(dense * side * side)));
  const colours = styles.map((style) => style.c.map(rgb)); // of a pie, films take its colours in turn
  const put = (row, strength) => {
    const left = Math.round(x + k * xy[2 * row] - side / 2), top = Math.round(y - k * xy[2 * row + 1] - side / 2);
    if (left < 0 || top < 0 || left + side > width || top + side > height) return;
    const code = codes[row], choice = colours[code], [r, g, b] = choice[row % choice.length];
    const a = styles[code].a * strength, rest = 1 - a;
    for (let j = top; j < top + side; j++)
      for (let at = 4 * (j * width + left), end = at + 4 * side; at < end; at += 4) {
        light[at] = r * a + light[at] * rest;
        light[at + 1] = g * a + light[at + 1] * rest;
        light[at + 2] = b * a + light[at + 2] * rest;
        light[at + 3] = a + light[at + 3] * rest;
      }
  };
  if (!chosen) for (const row of order) put(row, opacity);
  else {
    for (const row of order) if (!chosen[row]) put(row, opacity * faded);
    for (const row of order) if (chosen[row]) put(row, opacity);
  }
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
