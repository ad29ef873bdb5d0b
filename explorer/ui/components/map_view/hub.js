// Where the parts that Streamlit mounts meet, in whatever order it mounts them. What arrived stays here, so that a new
// colour or a new selection sends neither coordinates nor thumbnails again.
import { unpack } from "./codec.js";
import { layout } from "./points.js";

const MOST_FILMS = 3000; // cards kept
const AT_ONCE = 24; // films asked for at once, as map_view.py allows
const PATIENCE = 4000; // milliseconds until an unanswered question is asked again

export const hub = (globalThis.cxrMaps ??= new EventTarget());
hub.geometry ??= new Map(); // id to { n, maps: name to layout }
hub.paint ??= new Map(); // id to { maps: panel to { codes, flags, styles, legend } }
hub.films ??= new Map(); // film's key to its card
hub.wanted ??= new Set(); // keys of films asked for, oldest first
hub.film ??= -1; // the film last pointed at

// What a card says depends on the page's choices, which the id names.
const filmKey = (id, row) => `${id} ${row}`;

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

export function films({ data, setTriggerValue }) {
  hub.send = (rows) => setTriggerValue("wanted", rows);
  keepFilms(data.id, data.films);
}

export function keepFilms(id, cards) {
  for (const film of cards) hub.films.set(filmKey(id, film.row), film), hub.wanted.delete(filmKey(id, film.row));
  while (hub.films.size > MOST_FILMS) hub.films.delete(hub.films.keys().next().value);
  hub.busy = false;
  hub.dispatchEvent(new Event("films"));
  askNext();
}

// The card of a film, or nothing yet.
export const filmOf = (id, row) => hub.films.get(filmKey(id, row));

// Ask the server for the cards of films that are not here; those asked for last come first.
export function ask(id, rows) {
  if (hub.asked !== id) hub.wanted.clear();
  hub.asked = id;
  for (const row of rows) {
    const key = filmKey(id, row);
    if (!hub.films.has(key)) hub.wanted.delete(key), hub.wanted.add(key);
  }
  clearTimeout(hub.asking);
  hub.asking = setTimeout(askNext, 30);
}

// One question at a time: a second one would take the first one's place on the server.
function askNext() {
  if (hub.busy || !hub.send || !hub.wanted.size) return;
  hub.busy = true;
  clearTimeout(hub.waiting);
  hub.waiting = setTimeout(() => ((hub.busy = false), askNext()), PATIENCE);
  hub.send([...hub.wanted].slice(-AT_ONCE).map((key) => Number(key.slice(key.lastIndexOf(" ") + 1))));
}

function receive(kept, bytes, read) {
  const { header, arrays } = unpack(bytes);
  if (kept.has(header.id)) return; // the page ran again, the bytes are the same
  kept.clear(); // one page shows one run in one colour
  kept.set(header.id, read(header, arrays));
  hub.dispatchEvent(new Event("change"));
}
