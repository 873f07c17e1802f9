// What lies behind the points of a plane: the decoded grid, and the hatching where no code is near.
import { css, digitImage, lively } from "./dom.js";

const TILE = 30; // about so many CSS pixels a decoded tile
const SLICE = 7; // milliseconds of decoding a frame

/** Pictures of the region that a view shows, made in slices and faded in; onChange paints. */
export function makeGround(model, size, onChange) {
  let run = 0; // the newest request; older ones give up
  const ground = { view: null, tiles: null, hatch: null, alpha: 0 };

  async function request(view) {
    const mine = ++run;
    const next = { hatch: hatching(model, view), ...await decoded(model, size, view, () => mine === run) };
    if (mine !== run) return;
    Object.assign(ground, next, { view, alpha: lively() ? 0 : 1 });
    const began = performance.now();
    const fade = (now) => {
      if (mine !== run) return;
      ground.alpha = lively() ? Math.min(1, Math.max(0, (now - began) / 400)) : 1;
      onChange();
      if (ground.alpha < 1) requestAnimationFrame(fade);
    };
    requestAnimationFrame(fade);
  }

  /** Paint what there is, moved to where the view has gone since. */
  function paint(context, view, { grid, holes }) {
    if (!ground.view) return;
    const old = ground.view, ratio = view.scale / old.scale;
    const left = (old.x - view.x) * view.scale + view.width / 2 - (old.width / 2) * ratio;
    const top = (view.y - old.y) * view.scale + view.height / 2 - (old.height / 2) * ratio;
    context.save();
    if (grid) {
      context.globalAlpha = 0.6 * ground.alpha;
      context.drawImage(ground.tiles, left, top, ground.covered[0] * ratio, ground.covered[1] * ratio);
    }
    if (holes) {
      context.globalAlpha = ground.alpha;
      context.drawImage(ground.hatch, left, top, old.width * ratio, old.height * ratio);
    }
    context.restore();
  }

  return { request, paint, stop() { run++; } };
}

async function decoded(model, [height, width], view, wanted) {
  const columns = Math.max(1, Math.round(view.width / TILE));
  const step = view.width / columns, rows = Math.ceil(view.height / step);
  const canvas = new OffscreenCanvas(columns * width, rows * height), context = canvas.getContext("2d");
  let began = performance.now();
  const pixels = new Float32Array(height * width);
  for (let k = 0; k < rows * columns; k++) {
    if (performance.now() - began > SLICE) {
      await new Promise(requestAnimationFrame);
      if (!wanted()) break;
      began = performance.now();
    }
    const column = k % columns, line = Math.floor(k / columns);
    const right = (column + 0.5) * step - view.width / 2, down = (line + 0.5) * step - view.height / 2;
    const z = [view.x + right / view.scale, view.y - down / view.scale];
    context.putImageData(digitImage(model.decode(z, pixels), width, height), column * width, line * height);
  }
  return { tiles: canvas, covered: [view.width, rows * step] };
}

/** Lines over everything, wiped away in the ball of each code's five nearest neighbours. */
function hatching(model, view) {
  const canvas = new OffscreenCanvas(view.width, view.height), context = canvas.getContext("2d");
  context.fillStyle = css("hatch-ground");
  context.fillRect(0, 0, view.width, view.height);
  context.strokeStyle = css("hatch");
  context.lineWidth = 1;
  context.beginPath();
  for (let x = -view.height; x < view.width; x += 7) { context.moveTo(x, view.height); context.lineTo(x + view.height, 0); }
  context.stroke();
  context.globalCompositeOperation = "destination-out";
  const { codes, radius } = model;
  for (let i = 0; i < radius.length; i++) {
    const x = (codes[2 * i] - view.x) * view.scale + view.width / 2;
    const y = (view.y - codes[2 * i + 1]) * view.scale + view.height / 2;
    const r = Math.max(2, radius[i] * view.scale);
    if (x < -r || y < -r || x > view.width + r || y > view.height + r) continue;
    context.beginPath();
    context.arc(x, y, r, 0, 7);
    context.fill();
  }
  return canvas;
}
