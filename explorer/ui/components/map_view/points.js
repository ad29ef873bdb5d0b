// Where films lie: coordinates on a map run from 0 to SIZE, y up; a stage has pixels, y down.

const SIZE = 65535; // coordinates are uint16
const HIDDEN = 255; // the code of a film that is not drawn
const CELLS = 96; // cells a side of the grid that finds the films near a place

// A map's coordinates, x and y in turn, and how much of 0..SIZE they take up.
export function layout(xy) {
  const low = [SIZE, SIZE], high = [0, 0];
  xy.forEach((v, i) => ((low[i & 1] = Math.min(low[i & 1], v)), (high[i & 1] = Math.max(high[i & 1], v))));
  return { xy, width: Math.max(1, high[0] - low[0]), height: Math.max(1, high[1] - low[1]) };
}

// A map on a stage: pixel = (x + k · map x, y − k · map y); side is the whole map's at zoom 1.
// One scale for all maps side by side: as large as the widest and the highest of them allow.
export function scale({ clientWidth: width, clientHeight: height }, layouts, view) {
  const fit = (one) => Math.min((width - 24) / one.width, (height - 24) / one.height);
  const side = Math.min(...layouts.map(fit)) * SIZE;
  const k = (side / SIZE) * view.k;
  return {
    k,
    x: width / 2 - k * (SIZE / 2) + view.x * side,
    y: height / 2 + k * (SIZE / 2) + view.y * side,
    side,
  };
}

// A view zoomed about a pixel of a stage.
export function zoomed(view, factor, { clientWidth: width, clientHeight: height }, side, px = width / 2, py = height / 2) {
  const k = Math.max(0.5, Math.min(60, view.k * factor)), f = k / view.k;
  const cx = (px - width / 2) / side, cy = (py - height / 2) / side;
  return { k, x: cx + (view.x - cx) * f, y: cy + (view.y - cy) * f };
}

// The films that one map draws: in the order in which they are drawn, and by the cells of a grid. Films of the ground,
// the bottom style where it is one, are drawn and nothing else: no pointer, key or lasso reaches them.
export class Points {
  constructor(xy, codes, styles) {
    this.xy = xy;
    this.codes = codes;
    // bottom first: by style, then by row
    const counts = new Uint32Array(257);
    for (const code of codes) counts[code + 1]++;
    const ground = styles[0]?.ground ? counts[1] : 0;
    for (let c = 0; c < 256; c++) counts[c + 1] += counts[c];
    this.order = new Uint32Array(counts[HIDDEN]);
    for (let row = 0; row < codes.length; row++) if (codes[row] !== HIDDEN) this.order[counts[codes[row]]++] = row;
    this.films = this.order.subarray(ground); // those that can be reached
    // the grid: the films of a cell stand together
    const cell = (row) => ((xy[2 * row + 1] * CELLS) >> 16) * CELLS + ((xy[2 * row] * CELLS) >> 16);
    this.starts = new Uint32Array(CELLS * CELLS + 1);
    for (const row of this.films) this.starts[cell(row) + 1]++;
    for (let c = 0; c < CELLS * CELLS; c++) this.starts[c + 1] += this.starts[c];
    this.cells = new Uint32Array(this.films.length);
    const next = this.starts.slice();
    for (const row of this.films) this.cells[next[cell(row)]++] = row;
  }

  // The nearest rows within so many pixels of a pixel, nearest first; of two in one place the upper one.
  near({ k, x, y }, px, py, pixels, most) {
    const mx = (px - x) / k, my = (y - py) / k, reach = pixels / k, side = SIZE / CELLS;
    const met = []; // [row, squared distance]
    const above = (one, other) => this.codes[one] - this.codes[other] || one - other;
    const clip = (v) => Math.max(0, Math.min(CELLS - 1, Math.floor(v / side)));
    for (let cy = clip(my - reach); cy <= clip(my + reach); cy++)
      for (let cx = clip(mx - reach); cx <= clip(mx + reach); cx++) {
        const c = cy * CELLS + cx;
        for (let i = this.starts[c]; i < this.starts[c + 1]; i++) {
          const row = this.cells[i];
          const d = (this.xy[2 * row] - mx) ** 2 + (this.xy[2 * row + 1] - my) ** 2;
          if (d > reach * reach) continue;
          let at = met.length;
          while (at && (d < met[at - 1][1] || (d === met[at - 1][1] && above(row, met[at - 1][0]) > 0))) at--;
          if (at >= most) continue;
          met.splice(at, 0, [row, d]);
          if (met.length > most) met.pop();
        }
      }
    return met.map(([row]) => row);
  }

  // How many films lie in a box of pixels, by whole cells.
  count({ k, x, y }, box) {
    const clip = (v) => Math.max(0, Math.min(CELLS - 1, Math.floor((v / SIZE) * CELLS)));
    let sum = 0;
    for (let cy = clip((y - box.bottom) / k); cy <= clip((y - box.top) / k); cy++)
      sum += this.starts[cy * CELLS + clip((box.right - x) / k) + 1] - this.starts[cy * CELLS + clip((box.left - x) / k)];
    return sum;
  }

  // The film that lies nearest to a place on the map in a direction (dx, dy), y up; -1 where there is none.
  towards(mx, my, dx, dy) {
    let best = -1, least = Infinity;
    for (const row of this.films) {
      const ox = this.xy[2 * row] - mx, oy = this.xy[2 * row + 1] - my;
      const along = ox * dx + oy * dy, across = Math.abs(ox * dy - oy * dx);
      if (along <= 0 || across > along) continue;
      const far = along + 2 * across;
      if (far < least) (least = far), (best = row);
    }
    return best;
  }

  // Rows inside a line of pixels that closes on itself (even-odd rule), ascending.
  inside({ k, x, y }, line) {
    const xs = line.map(([px]) => (px - x) / k), ys = line.map(([, py]) => (y - py) / k);
    const left = Math.min(...xs), right = Math.max(...xs), low = Math.min(...ys), high = Math.max(...ys);
    const { xy } = this;
    return this.films
      .filter((row) => {
        const mx = xy[2 * row], my = xy[2 * row + 1];
        if (mx < left || mx > right || my < low || my > high) return false;
        let odd = false;
        for (let i = 0, j = xs.length - 1; i < xs.length; j = i++)
          if (ys[i] > my !== ys[j] > my && mx < ((xs[j] - xs[i]) * (my - ys[i])) / (ys[j] - ys[i]) + xs[i]) odd = !odd;
        return odd;
      })
      .sort();
  }
}
