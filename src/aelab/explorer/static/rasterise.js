// Strokes to pixels as in MNIST: 20 pixels at the longer side, centred by the centre of mass.
//
// A stroke is a list of points [x, y] in any unit. It is scaled before it is rasterised, so the pen
// is as wide in a small drawing as in a large one.

const PEN_RADIUS = 1.15; // pixels: the strokes of MNIST are two to three pixels wide

/** The grey levels in [0, 1] of strokes, height · width values; all 0 if nothing is drawn. */
export function rasterise(strokes, [height, width]) {
  const points = strokes.flat();
  if (!points.length) return new Float32Array(height * width);
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [left, right] = [Math.min(...xs), Math.max(...xs)], [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const box = (20 / 28) * Math.min(height, width) - 2 * PEN_RADIUS; // the pen reaches beyond the points
  const scale = box / Math.max(right - left, bottom - top, 1e-6);
  const isDot = right === left && bottom === top;
  const transform = (dx, dy) => strokes.map((stroke) => stroke.map(([x, y]) => [
    width / 2 + dx + (isDot ? 0 : (x - (left + right) / 2) * scale),
    height / 2 + dy + (isDot ? 0 : (y - (top + bottom) / 2) * scale),
  ]));
  const [x, y] = centreOfMass(coverage(transform(0, 0), height, width), width);
  return coverage(transform(width / 2 - x, height / 2 - y), height, width);
}

/** Coverage of each pixel by distance: 1 within the pen, 0 outside, linear over its edge. */
function coverage(strokes, height, width) {
  const image = new Float32Array(height * width);
  for (const stroke of strokes) for (let k = 0; k < stroke.length; k++) {
    const [ax, ay] = stroke[Math.max(0, k - 1)], [bx, by] = stroke[k], reach = PEN_RADIUS + 0.5;
    const ux = bx - ax, uy = by - ay, square = ux * ux + uy * uy;
    const from = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - reach));
    const to = (a, b, end) => Math.min(end - 1, Math.ceil(Math.max(a, b) + reach));
    for (let r = from(ay, by); r <= to(ay, by, height); r++) for (let c = from(ax, bx); c <= to(ax, bx, width); c++) {
      const px = c + 0.5 - ax, py = r + 0.5 - ay;
      const along = square ? Math.min(1, Math.max(0, (px * ux + py * uy) / square)) : 0;
      const distance = Math.hypot(px - along * ux, py - along * uy);
      const covered = Math.min(1, Math.max(0, reach - distance));
      if (covered > image[r * width + c]) image[r * width + c] = covered;
    }
  }
  return image;
}

/** Column and row of the centre of mass, in pixels from the corner. */
function centreOfMass(image, width) {
  let mass = 0, x = 0, y = 0;
  image.forEach((v, i) => {
    mass += v; x += v * ((i % width) + 0.5); y += v * (Math.floor(i / width) + 0.5);
  });
  return mass ? [x / mass, y / mass] : [width / 2, image.length / width / 2];
}

const LEVELS = 1296; // two base-36 digits per coordinate

const toLevel = (v) => Math.round(Math.min(1, Math.max(0, v)) * (LEVELS - 1));

/** A coordinate of the unit square rounded to what a link can hold: a shared drawing is unchanged. */
export const quantize = (v) => toLevel(v) / (LEVELS - 1);

/** Strokes in the unit square as a short text for a link. */
export const encodeStrokes = (strokes) => strokes.map((stroke) =>
  stroke.flat().map((v) => toLevel(v).toString(36).padStart(2, "0")).join("")).join(".");

/** Strokes from the text of a link; none if the text is invalid. */
export function decodeStrokes(text) {
  if (!/^(?:(?:[0-9a-z]{4})+(?:\.|$))*$/.test(text)) return [];
  return text.split(".").filter(Boolean).map((stroke) => {
    const values = stroke.match(/../g).map((v) => parseInt(v, 36) / (LEVELS - 1));
    return values.flatMap((v, i) => (i % 2 ? [] : [[v, values[i + 1]]]));
  });
}
