// A drawing as MNIST would have it: 20 pixels at its longer side, centred by its centre of mass.
//
// A stroke is a list of points [x, y] in any unit. It is scaled first and inked afterwards, so the
// pen is as wide in a small drawing as in a large one.

const PEN = 1.15; // radius in pixels: the strokes of MNIST are two to three pixels wide

/** The grey levels in [0, 1] of some strokes, a row of height · width; all 0 if nothing is drawn. */
export function rasterise(strokes, [height, width]) {
  const points = strokes.flat();
  if (!points.length) return new Float32Array(height * width);
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [left, right] = [Math.min(...xs), Math.max(...xs)], [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const box = (20 / 28) * Math.min(height, width) - 2 * PEN; // the ink reaches beyond the points
  const scale = box / Math.max(right - left, bottom - top, 1e-6);
  const dot = right === left && bottom === top;
  const place = (dx, dy) => strokes.map((stroke) => stroke.map(([x, y]) => [
    width / 2 + dx + (dot ? 0 : (x - (left + right) / 2) * scale),
    height / 2 + dy + (dot ? 0 : (y - (top + bottom) / 2) * scale),
  ]));
  const [x, y] = centreOfMass(ink(place(0, 0), height, width), width);
  return ink(place(width / 2 - x, height / 2 - y), height, width);
}

/** Coverage by distance: 1 within the pen, 0 beyond, linear over the pixel at its edge. */
function ink(strokes, height, width) {
  const image = new Float32Array(height * width);
  for (const stroke of strokes) for (let k = 0; k < stroke.length; k++) {
    const [ax, ay] = stroke[Math.max(0, k - 1)], [bx, by] = stroke[k], reach = PEN + 0.5;
    const ux = bx - ax, uy = by - ay, square = ux * ux + uy * uy;
    const from = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - reach));
    const to = (a, b, end) => Math.min(end - 1, Math.ceil(Math.max(a, b) + reach));
    for (let r = from(ay, by); r <= to(ay, by, height); r++) for (let c = from(ax, bx); c <= to(ax, bx, width); c++) {
      const px = c + 0.5 - ax, py = r + 0.5 - ay;
      const along = square ? Math.min(1, Math.max(0, (px * ux + py * uy) / square)) : 0;
      const away = Math.hypot(px - along * ux, py - along * uy);
      const covered = Math.min(1, Math.max(0, reach - away));
      if (covered > image[r * width + c]) image[r * width + c] = covered;
    }
  }
  return image;
}

/** Column and row of the centre of mass, in pixels from the corner. */
export function centreOfMass(image, width) {
  let mass = 0, x = 0, y = 0;
  image.forEach((v, i) => {
    mass += v; x += v * ((i % width) + 0.5); y += v * (Math.floor(i / width) + 0.5);
  });
  return mass ? [x / mass, y / mass] : [width / 2, image.length / width / 2];
}

const GRID = 1296; // two base-36 digits a coordinate

const onGrid = (v) => Math.round(Math.min(1, Math.max(0, v)) * (GRID - 1));

/** A coordinate within the unit square as it can be written: what is shared is what was drawn. */
export const snap = (v) => onGrid(v) / (GRID - 1);

/** Strokes within the unit square as a short text, and back again. */
export const write = (strokes) => strokes.map((stroke) =>
  stroke.flat().map((v) => onGrid(v).toString(36).padStart(2, "0")).join("")).join(".");

export function read(text) {
  if (!/^(?:(?:[0-9a-z]{4})+(?:\.|$))*$/.test(text)) return [];
  return text.split(".").filter(Boolean).map((stroke) => {
    const values = stroke.match(/../g).map((v) => parseInt(v, 36) / (GRID - 1));
    return values.flatMap((v, i) => (i % 2 ? [] : [[v, values[i + 1]]]));
  });
}
