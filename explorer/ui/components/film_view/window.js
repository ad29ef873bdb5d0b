// Window and level, in the film's units (the modality's values). A film's look is { preset, low, high, inverted }.

export const PRESETS = ["default", "lung", "bone"];

// The unit of a level.
const unit = (film, level) => film.slope * level + film.intercept;

// [least, greatest] unit that the film has.
export function unitRange(film) {
  const ends = [unit(film, film.padded ? 1 : 0), unit(film, film.n - 1)];
  return [Math.min(...ends), Math.max(...ends)];
}

// A preset's window. "default" is the picture that models get; its window is the line nearest to it.
export function presetLook(film, preset) {
  const [low, high] = film.windows[preset];
  return { preset, low, high };
}

// The look whose window has this width and this level in its middle, both within the film's range.
export function handLook(film, width, level) {
  const [least, greatest] = unitRange(film), span = greatest - least || 1;
  const half = Math.min(2 * span, Math.max(span / 4096, width)) / 2, middle = Math.min(greatest, Math.max(least, level));
  return { preset: "hand", low: middle - half, high: middle + half };
}

// The brightness, 0 to 255, of each level; `own` is that of the model's picture.
export function greyTable(film, own, look) {
  const table = new Uint8ClampedArray(film.n), span = Math.max(look.high - look.low, 1e-9);
  for (let level = 0; level < film.n; level++) {
    const share = Math.min(1, Math.max(0, (unit(film, level) - look.low) / span));
    const grey = look.preset === "default" ? own[level] : 255 * (film.inverted ? 1 - share : share);
    table[level] = look.inverted ? 255 - grey : grey;
  }
  if (film.padded) table[0] = 0;
  return table;
}
