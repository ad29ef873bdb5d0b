// Films on canvases: levels become grey once a look, and a canvas shows the part of the film that is seen.

const MAGNIFIED = 2.5; // times, under the magnifier
const LENS = 90; // its radius in pixels of the screen
const ABOVE = 130; // pixels of the screen between a finger and what it magnifies

// Grey of a film's levels under a table of `greyTable`, on a sheet of the levels' size.
export function develop(sheet, { levels, columns, rows }, table) {
  if (sheet.width !== columns || sheet.height !== rows) Object.assign(sheet, { width: columns, height: rows });
  const picture = new ImageData(columns, rows), pixels = new Uint32Array(picture.data.buffer);
  const greys = Uint32Array.from(table, (grey) => 0xff000000 | (grey * 0x010101));
  for (let i = 0; i < pixels.length; i++) pixels[i] = greys[levels[i]];
  sheet.getContext("2d").putImageData(picture, 0, 0);
}

// The sheet under a map, on a canvas that fills its stage. `matrix` leads from the film to the canvas.
export function paint(canvas, sheet, film, matrix, map, lens) {
  const brush = canvas.getContext("2d");
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.fillStyle = "#000";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  if (!sheet) return;
  lay(brush, sheet, film, matrix, map);
  if (!lens) return;
  const ratio = devicePixelRatio, [x, y] = lens.at.map((value) => value * ratio), radius = LENS * ratio;
  const [cx, cy] = [x, lens.finger ? y - ABOVE * ratio : y], k = MAGNIFIED;
  const [a, b, c, d, e, f] = matrix;
  brush.save();
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.beginPath();
  brush.arc(cx, cy, radius, 0, 2 * Math.PI);
  brush.clip();
  brush.fillRect(0, 0, canvas.width, canvas.height);
  lay(brush, sheet, film, [k * a, k * b, k * c, k * d, k * (e - x) + cx, k * (f - y) + cy], map);
  brush.restore();
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.lineWidth = 2 * ratio;
  brush.strokeStyle = "#fff";
  brush.beginPath();
  brush.arc(cx, cy, radius, 0, 2 * Math.PI);
  brush.stroke();
}

function lay(brush, sheet, { width, height }, matrix, map) {
  brush.setTransform(...matrix);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(sheet, 0, 0, width, height);
  if (!map?.picture) return;
  brush.globalCompositeOperation = map.blend; // "color" changes hue alone: the film stays as light as it is
  brush.drawImage(map.picture, 0, 0, width, height);
  brush.globalCompositeOperation = "source-over";
}
