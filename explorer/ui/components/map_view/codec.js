// The bytes of explorer/figures/maps.py, and rows of a run as explorer/ui/shared/links.py writes them.

// [length of the header, uint32][header, JSON, padded to 4][arrays one after another, each padded to 4]
export function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let at = 4 + length;
  const arrays = header.arrays.map((size) => {
    const part = bytes.slice(at, at + size);
    at += size + (-size & 3);
    return part;
  });
  return { header, arrays };
}

// Ascending, distinct rows of a run of n films: "b" and a bitmap, or "d" and the gaps between them (LEB128) where that
// is not longer, in base64; empty for no rows.
export function packRows(rows, n) {
  if (!rows.length) return "";
  const gaps = [];
  let last = -1;
  for (const row of rows) {
    let gap = row - last - 1;
    last = row;
    for (; gap > 127; gap >>>= 7) gaps.push((gap & 127) | 128);
    gaps.push(gap);
  }
  const size = Math.ceil(n / 8), few = gaps.length <= size;
  const body = few ? Uint8Array.from(gaps) : new Uint8Array(size);
  if (!few) for (const row of rows) body[row >> 3] |= 128 >> (row & 7);
  let text = "";
  for (let i = 0; i < body.length; i += 8192) text += String.fromCharCode(...body.subarray(i, i + 8192));
  return (few ? "d" : "b") + btoa(text);
}

export function unpackRows(packed) {
  const body = Uint8Array.from(atob(packed.slice(1)), (c) => c.charCodeAt(0));
  const rows = [];
  if (packed[0] === "b") {
    for (let i = 0; i < body.length * 8; i++) if (body[i >> 3] & (128 >> (i & 7))) rows.push(i);
    return rows;
  }
  let value = 0, shift = 0, last = -1;
  for (const byte of body) {
    value |= (byte & 127) << shift;
    shift += 7;
    if (byte < 128) {
      rows.push((last += value + 1));
      value = shift = 0;
    }
  }
  return rows;
}
