// The background of a latent plane: decoded images on a grid, and hatching where no code is near.
import { circle, motionAllowed, themeColor, toImageData } from "./dom.js";
import { toLatent, toPixelX, toPixelY } from "./viewport.js";

const TILE = 30; // CSS pixels per decoded image, approximately
const BUDGET = 7; // milliseconds of decoding per frame
const FADE = 400; // milliseconds

/** Renders the background of a viewport over several frames and fades it in; `onChange` repaints. */
export function makeBackground(model, size, onChange) {
  let latest = 0; // the newest request; older ones stop
  const current = { view: null, grid: null, gridSize: null, hatching: null, alpha: 0 };

  async function request(view) {
    const own = ++latest, isCurrent = () => own === latest;
    const next = { hatching: renderHatching(model, view), ...await renderGrid(model, size, view, isCurrent) };
    if (!isCurrent()) return;
    Object.assign(current, next, { view, alpha: motionAllowed() ? 0 : 1 });
    const began = performance.now();
    const fade = (now) => {
      if (!isCurrent()) return;
      current.alpha = motionAllowed() ? Math.min(1, Math.max(0, (now - began) / FADE)) : 1;
      onChange();
      if (current.alpha < 1) requestAnimationFrame(fade);
    };
    requestAnimationFrame(fade);
  }

  /** Paint the rendered background, moved and scaled to the viewport of now. */
  function paint(context, view, { grid, holes }) {
    if (!current.view) return;
    const [x, y] = toLatent(current.view, 0, 0), ratio = view.scale / current.view.scale;
    const place = (picture, [width, height]) =>
      context.drawImage(picture, toPixelX(view, x), toPixelY(view, y), width * ratio, height * ratio);
    context.save();
    if (grid) {
      context.globalAlpha = 0.6 * current.alpha;
      place(current.grid, current.gridSize);
    }
    if (holes) {
      context.globalAlpha = current.alpha;
      place(current.hatching, [current.view.width, current.view.height]);
    }
    context.restore();
  }

  return { request, paint };
}

async function renderGrid(model, [height, width], view, isCurrent) {
  const columns = Math.max(1, Math.round(view.width / TILE));
  const step = view.width / columns, rows = Math.ceil(view.height / step);
  const canvas = new OffscreenCanvas(columns * width, rows * height), context = canvas.getContext("2d");
  let began = performance.now();
  const pixels = new Float32Array(height * width);
  for (let k = 0; k < rows * columns; k++) {
    if (performance.now() - began > BUDGET) {
      await new Promise(requestAnimationFrame);
      if (!isCurrent()) break;
      began = performance.now();
    }
    const column = k % columns, line = Math.floor(k / columns);
    const z = toLatent(view, (column + 0.5) * step, (line + 0.5) * step);
    context.putImageData(toImageData(model.decode(z, pixels), width, height), column * width, line * height);
  }
  return { grid: canvas, gridSize: [view.width, rows * step] };
}

/** Hatching everywhere but in the ball of each code's five nearest neighbours. */
function renderHatching(model, view) {
  const canvas = new OffscreenCanvas(view.width, view.height), context = canvas.getContext("2d");
  context.fillStyle = themeColor("hatch-ground");
  context.fillRect(0, 0, view.width, view.height);
  context.strokeStyle = themeColor("hatch");
  context.lineWidth = 1;
  context.beginPath();
  for (let x = -view.height; x < view.width; x += 7) { context.moveTo(x, view.height); context.lineTo(x + view.height, 0); }
  context.stroke();
  context.globalCompositeOperation = "destination-out";
  const { codes, radius } = model;
  for (let i = 0; i < radius.length; i++) {
    const x = toPixelX(view, codes[2 * i]), y = toPixelY(view, codes[2 * i + 1]);
    const r = Math.max(2, radius[i] * view.scale);
    if (x < -r || y < -r || x > view.width + r || y > view.height + r) continue;
    circle(context, x, y, r);
    context.fill();
  }
  return canvas;
}
