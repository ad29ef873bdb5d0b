// Where thumbnails stand on a map: beside their films, where they cover the fewest films and no other thumbnail.

const TURNS = 16; // directions tried
const REACHES = [0.9, 1.4, 2, 2.7]; // distances tried, from a film to the middle of its thumbnail, in sides

// Each of `thumbs` ({ at: [x, y] in pixels, … }) that finds room on a stage, with its box; `cost` counts the films beneath.
export function placed(thumbs, side, width, height, cost) {
  const taken = [], out = [];
  for (const thumb of thumbs) {
    const [px, py] = thumb.at;
    if (px < 0 || py < 0 || px > width || py > height) continue;
    let best = null, least = Infinity;
    for (const reach of REACHES)
      for (let i = 0; i < TURNS; i++) {
        const turn = (2 * Math.PI * i) / TURNS;
        const left = px + reach * side * Math.cos(turn) - side / 2, top = py + reach * side * Math.sin(turn) - side / 2;
        const box = { left, top, right: left + side, bottom: top + side };
        if (left < 4 || top < 4 || box.right > width - 4 || box.bottom > height - 4) continue;
        const free = (other) => box.left > other.right + 4 || other.left > box.right + 4 || box.top > other.bottom + 4 || other.top > box.bottom + 4;
        if (!taken.every(free) || thumbs.some(({ at: [x, y] }) => x > left - 4 && x < box.right + 4 && y > top - 4 && y < box.bottom + 4)) continue;
        const price = (cost(box) + 1) * (1 + reach / 4);
        if (price < least) (least = price), (best = box);
      }
    if (best) taken.push(best), out.push({ ...thumb, box: best });
  }
  return out;
}
