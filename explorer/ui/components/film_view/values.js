// A film's own values: fetched and unpacked (explorer/data/viewer_film.py packs them).

const MOST_KEPT = 12; // films

// What ViewerFilm.packed holds once inflated: the grey of each level, then the levels of all pixels as differences.
export function unpackLevels(bytes, { columns, rows, n, deep }) {
  const size = columns * rows, levels = deep ? new Uint16Array(size) : new Uint8Array(size);
  const low = bytes.subarray(n, n + size), high = bytes.subarray(n + size);
  let level = 0;
  for (let i = 0; i < size; i++) {
    const step = deep ? low[i] | (high[i] << 8) : low[i];
    levels[i] = level + ((step >>> 1) ^ -(step & 1));
    level = levels[i]; // wrapped around, as the difference was
  }
  return { grey: bytes.subarray(0, n), levels, columns, rows };
}

const kept = new Map(); // by address, the film last asked for at the end

// The values of a film; where the server has none to give, those of its thumbnail.
export function loadLevels(film) {
  const place = film.url || film.poster;
  const asked = kept.get(place) ?? (film.url ? fetchLevels(film) : posterLevels(film));
  kept.delete(place);
  kept.set(place, asked);
  asked.catch(() => kept.delete(place)); // asked for again the next time
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  return asked;
}

// The server lets a file go while a page's script runs again, and has it back at the end: so it is asked for again.
async function fetchLevels(film, waits = [500, 2500]) {
  const answer = await fetch(new URL(film.url.replace(/^\//, ""), document.baseURI)); // the app may lie below a path
  if (!answer.ok && waits.length) {
    await new Promise((done) => setTimeout(done, waits[0]));
    return fetchLevels(film, waits.slice(1));
  }
  if (!answer.ok) throw new Error(`${answer.status}`);
  const inflated = answer.body.pipeThrough(new DecompressionStream("deflate"));
  return unpackLevels(new Uint8Array(await new Response(inflated).arrayBuffer()), film);
}

export async function loadPicture(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

async function posterLevels(film) {
  const image = await loadPicture(film.poster), canvas = document.createElement("canvas");
  const [columns, rows] = [image.naturalWidth, image.naturalHeight];
  Object.assign(canvas, { width: columns, height: rows });
  const brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  const levels = brush.getImageData(0, 0, columns, rows).data.filter((_, i) => i % 4 === 0);
  return { grey: Uint8Array.from({ length: 256 }, (_, i) => i), levels, columns, rows };
}
