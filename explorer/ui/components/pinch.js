// What zooms: two fingers that move apart, and the wheel.

export class Pinch {
  held = new Map(); // every pointer that is down, and where it was last

  down(id, place) {
    this.held.set(id, place);
  }

  up(id) {
    this.held.delete(id);
  }

  // Where a pointer that is down was before; with a second one down also by how much the two zoom, the place midway between
  // them, and where that was before.
  move(id, now) {
    const was = this.held.get(id);
    if (!was) return {};
    const other = [...this.held].find(([one]) => one !== id)?.[1];
    this.held.set(id, now);
    if (!other) return { was };
    const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
    const midway = ([x, y]) => [(x + other[0]) / 2, (y + other[1]) / 2];
    return { was, factor: apart(now) / apart(was), middle: midway(now), before: midway(was) };
  }
}

export const wheelFactor = (event) => Math.exp(-event.deltaY / 300);
