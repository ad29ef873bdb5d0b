// The maps of a report: films as points, coloured by one label; the film under the pointer is ringed on every map.
const data = JSON.parse(document.getElementById("map-data").textContent);
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const n = data.films.length, labels = data.labels.length, states = bytes(data.states); // (n, labels): 0, 1, 2 unknown
const choice = document.getElementById("map-label"), tip = document.getElementById("map-tip");
const maps = [...document.querySelectorAll(".maps canvas")].map((canvas, i) => ({
  canvas, xy: new Uint16Array(bytes(data.maps[i]).buffer), // (n, 2)
}));
const GREY = "#8a8f98", POSITIVE = "#8B5CF6", PAD = 10, NEAR = 14;
let ringed = -1;

function place(map, film) {
  const room = map.canvas.clientWidth - 2 * PAD;
  return [PAD + (map.xy[2 * film] / 65535) * room, PAD + (1 - map.xy[2 * film + 1] / 65535) * room];
}

function draw(map) {
  const { canvas } = map, side = canvas.clientWidth, scale = Math.max(2, devicePixelRatio);
  if (canvas.width !== Math.round(side * scale)) canvas.width = canvas.height = Math.round(side * scale);
  const pen = canvas.getContext("2d"), radius = Math.max(1, Math.min(4, Math.sqrt((0.06 * side * side) / n)));
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, side, side);
  for (const state of [2, 0, 1]) {
    pen.fillStyle = pen.strokeStyle = state === 1 ? POSITIVE : GREY;
    pen.globalAlpha = state === 1 ? 0.95 : 0.5;
    for (let film = 0; film < n; film++) {
      if (states[film * labels + Number(choice.value)] !== state) continue;
      pen.beginPath();
      pen.arc(...place(map, film), state === 1 ? radius * 1.2 : radius, 0, 7);
      state === 2 ? pen.stroke() : pen.fill();
    }
  }
  if (ringed < 0) return;
  pen.globalAlpha = 1;
  pen.strokeStyle = "#e0457b";
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.arc(...place(map, ringed), radius + 6, 0, 7);
  pen.stroke();
  pen.lineWidth = 1;
}

function nearest(map, x, y) {
  let best = -1, least = NEAR * NEAR;
  for (let film = 0; film < n; film++) {
    const [px, py] = place(map, film), far = (px - x) ** 2 + (py - y) ** 2;
    if (far < least) (least = far), (best = film);
  }
  return best;
}

function show(film, event) {
  if (film !== ringed) {
    ringed = film;
    maps.forEach(draw);
  }
  tip.hidden = film < 0;
  if (film < 0) return;
  const has = data.labels.filter((_, i) => states[film * labels + i] === 1);
  const state = ["negative", "positive", "unknown"][states[film * labels + Number(choice.value)]];
  tip.textContent = `${data.films[film]}\n${has.join(", ") || "no positive label"}\n${data.labels[choice.value]}: ${state}`;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
}

function count() {
  const of = [0, 0, 0];
  for (let film = 0; film < n; film++) of[states[film * labels + Number(choice.value)]]++;
  document.getElementById("map-counts").textContent = `${of[1]} positive, ${of[0]} negative, ${of[2]} unknown`;
}

for (const map of maps) {
  map.canvas.addEventListener("pointermove", (event) => show(nearest(map, event.offsetX, event.offsetY), event));
  map.canvas.addEventListener("pointerleave", (event) => show(-1, event));
}
choice.addEventListener("change", () => (count(), maps.forEach(draw)));
new ResizeObserver(() => maps.forEach(draw)).observe(document.querySelector(".maps"));
count();
