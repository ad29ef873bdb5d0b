// What the viewer and the pencil share: one film in an SVG, in the film's own pixels, with annotations as shapes.

export const shape = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);

// How to listen until Streamlit runs the component again, which it does whenever Python sends data.
export function listening(svg) {
  svg.stop?.();
  const until = new AbortController();
  svg.stop = () => until.abort();
  return (target, name, act, options) => target.addEventListener(name, act, { signal: until.signal, ...options });
}

// True where it is another film than before.
export function showFilm(svg, data) {
  if (svg.film === data.film) return false;
  svg.film = data.film;
  svg.setAttribute("aria-label", data.alt);
  svg.style.aspectRatio = `${data.width} / ${data.height}`;
  const image = svg.querySelector("image");
  image.setAttribute("href", data.source);
  image.setAttribute("width", data.width);
  image.setAttribute("height", data.height);
  return true;
}

export function outlined({ points, label, reader, colour }) {
  const [polygon, title] = ["polygon", "title"].map(shape);
  polygon.setAttribute("points", points.map((point) => point.join()).join(" "));
  polygon.setAttribute("stroke", colour);
  title.textContent = `${label}, ${reader}`;
  polygon.append(title);
  return polygon;
}
