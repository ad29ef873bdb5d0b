// Where the parts that Streamlit mounts meet, in whatever order it mounts them. What arrived stays here, so that a new
// colour or a new selection sends neither coordinates nor thumbnails again.
import { unpack } from "./codec.js";
import { layout } from "./points.js";

const MOST_FILMS = 3000; // thumbnails kept

export const hub = (globalThis.cxrMaps ??= new EventTarget());
hub.geometry ??= new Map(); // id to { n, maps: name to layout }
hub.paint ??= new Map(); // id to { maps: panel to { codes, flags, styles, legend } }
hub.films ??= new Map(); // film's key to what a hover shows of it

// What a hover shows depends on the page's choices, which the id names.
export const filmKey = (id, row) => `${id} ${row}`;

export function geometry({ data }) {
  receive(hub.geometry, data, ({ n, maps }, arrays) => ({
    n,
    maps: new Map(maps.map((name, i) => [name, layout(new Uint16Array(arrays[i].buffer))])),
  }));
}

export function paint({ data }) {
  receive(hub.paint, data, ({ maps, styles, legends, flags }, arrays) => {
    const one = (i) => ({
      codes: arrays[i],
      flags: flags ? arrays[maps.length + i] : null,
      styles: styles[i],
      legend: legends[i],
    });
    return { maps: new Map(maps.map((name, i) => [name, one(i)])) };
  });
}

export function tips({ data, setTriggerValue }) {
  for (const film of data.films) hub.films.set(filmKey(data.id, film.row), film);
  while (hub.films.size > MOST_FILMS) hub.films.delete(hub.films.keys().next().value);
  hub.want = (rows) => rows.length && setTriggerValue("wanted", rows);
  hub.dispatchEvent(new Event("films"));
}

function receive(kept, bytes, read) {
  const { header, arrays } = unpack(bytes);
  if (kept.has(header.id)) return; // the page ran again, the bytes are the same
  kept.clear(); // one page shows one run in one colour
  kept.set(header.id, read(header, arrays));
  hub.dispatchEvent(new Event("change"));
}
