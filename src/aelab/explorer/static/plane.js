// The plane of a model with two latent dimensions: its codes, what lies behind them, a cursor.
//
// A view is a centre in latent coordinates, a scale in CSS pixels a unit, and the size in pixels.
import { css, h, number, onceAFrame, rgb, whenQuiet, who } from "./dom.js";
import { makeGround } from "./ground.js";
import { nearest, row } from "./codes.js";
import { steer } from "./steer.js";

const LEAST = 0.25, MOST = 60; // how far one can zoom, times the home view

/**
 * A plane on `canvas`. `shown(i)` says which codes stand out; `onCursor(z, pinned)` hears of the
 * cursor, `onView()` of panning and zooming, `onSize()` of a new size. A `small` one is a picture
 * that can be marked.
 */
export function makePlane(canvas, model, data, { shown = () => true, onCursor, onView, onSize, small = false } = {}) {
  const view = { x: 0, y: 0, scale: 1, width: 0, height: 0 };
  const plane = { canvas, model, view, cursor: null, pinned: false, grid: true, holes: true, labels: !small, marks: [] };
  const count = data.labels.length, dot = Math.max(1.1, Math.min(small ? 1.6 : 2.4, 60 / Math.sqrt(count)));
  const home = homeOf(model);
  plane.home = home;
  let points = null; // the codes as a picture, until the view or the theme changes
  const repaint = onceAFrame(paint);
  const ground = makeGround(model, data.size, repaint);
  const refresh = whenQuiet(() => { if (view.width) ground.request({ ...view }); }, 160);

  plane.toX = (x) => (x - view.x) * view.scale + view.width / 2;
  plane.toY = (y) => (view.y - y) * view.scale + view.height / 2;
  plane.at = (px, py) => [view.x + (px - view.width / 2) / view.scale, view.y - (py - view.height / 2) / view.scale];
  /** The place as shares of the width and the height, which another plane understands too. */
  plane.shares = ([x, y]) => [plane.toX(x) / view.width, plane.toY(y) / view.height];
  plane.repaint = repaint;
  plane.changed = () => { points = null; repaint(); };

  /** Whether a code is near, and the nearest one. */
  plane.look = (z) => {
    const { codes, radius } = model;
    let inside = false;
    for (let i = 0; i < count && !inside; i++) {
      inside = Math.hypot(codes[2 * i] - z[0], codes[2 * i + 1] - z[1]) <= radius[i];
    }
    return { inside, ...nearest(codes, z)[0] };
  };

  plane.setView = ({ x, y, scale }, told = true) => {
    Object.assign(view, { x, y, scale: within(scale) });
    points = null;
    repaint();
    refresh();
    if (told) onView?.(plane);
  };
  const within = (scale) => Math.min(MOST * home.fit(view), Math.max(LEAST * home.fit(view), scale));
  plane.zoom = (factor, px = view.width / 2, py = view.height / 2) => {
    const [x, y] = plane.at(px, py), scale = within(view.scale * factor);
    plane.setView({ x: x - (px - view.width / 2) / scale, y: y + (py - view.height / 2) / scale, scale });
  };
  plane.pan = (dx, dy) => plane.setView({ ...view, x: view.x - dx / view.scale, y: view.y + dy / view.scale });
  plane.goHome = () => plane.toHome([0, 0, 1]);
  /** Where the view is, seen from home: shifts as shares of the width, and the zoom. */
  plane.fromHome = () => {
    const unit = home.fit(view) / view.width;
    return [(view.x - home.x) * unit, (view.y - home.y) * unit, view.scale / home.fit(view)];
  };
  plane.toHome = ([right, up, zoomed], told) => {
    if (!view.width) { plane.wanted = [right, up, zoomed]; return; }
    const unit = home.fit(view) / view.width;
    plane.setView({ x: home.x + right / unit, y: home.y + up / unit, scale: zoomed * home.fit(view) }, told);
  };

  plane.setCursor = (z, pinned = plane.pinned) => {
    plane.cursor = z;
    plane.pinned = Boolean(z) && pinned;
    repaint();
  };
  plane.move = (z, pinned) => { plane.setCursor(z, pinned); onCursor?.(z, plane.pinned); };

  function measure() {
    const box = canvas.getBoundingClientRect();
    if (box.width < 40) return; // not in a view that is not shown
    const where = plane.wanted ?? (view.width ? plane.fromHome() : [0, 0, 1]), ratio = devicePixelRatio || 1;
    Object.assign(view, { width: Math.round(box.width), height: Math.round(box.height) });
    canvas.width = view.width * ratio;
    canvas.height = view.height * ratio;
    plane.wanted = null;
    plane.toHome(where, false);
    onSize?.();
  }

  function paint() {
    if (!view.width) return;
    const ratio = devicePixelRatio || 1, c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, view.width, view.height);
    ground.paint(c, view, plane);
    axes(c);
    points ??= scatter(ratio);
    c.drawImage(points, 0, 0, view.width, view.height);
    for (const mark of plane.marks) MARKS[mark.kind](c, plane, mark);
    if (plane.cursor) cursor(c);
  }

  function scatter(ratio) {
    const picture = new OffscreenCanvas(view.width * ratio, view.height * ratio), c = picture.getContext("2d");
    const side = Math.ceil(2 * dot * ratio) + 2;
    const sprites = data.colors.map((color) => {
      const sprite = new OffscreenCanvas(side, side), s = sprite.getContext("2d");
      s.fillStyle = color;
      s.beginPath(); s.arc(side / 2, side / 2, dot * ratio, 0, 7); s.fill();
      return sprite;
    });
    for (const front of [false, true]) { // what stands out is painted last
      c.globalAlpha = front ? (small ? 0.45 : 0.85) : 0.1; // a small plane is there for its marks
      for (let i = 0; i < count; i++) {
        if (shown(i) !== front) continue;
        const x = plane.toX(model.codes[2 * i]) * ratio, y = plane.toY(model.codes[2 * i + 1]) * ratio;
        if (x > -side && y > -side && x < picture.width + side && y < picture.height + side) {
          c.drawImage(sprites[data.labels[i]], Math.round(x - side / 2), Math.round(y - side / 2));
        }
      }
    }
    c.globalAlpha = 1;
    c.scale(ratio, ratio);
    if (plane.labels) names(c);
    return picture;
  }

  function names(c) {
    c.font = "bold 12px system-ui, sans-serif";
    c.textAlign = "center";
    for (const [label, [x, y]] of Object.entries(model.places)) {
      if (!data.members[label].some(shown)) continue;
      const px = plane.toX(x), py = plane.toY(y), half = c.measureText(data.names[label]).width / 2 + 5;
      c.fillStyle = css("surface"); c.strokeStyle = data.colors[label]; c.lineWidth = 1.5;
      c.beginPath(); c.roundRect(px - half, py - 9, 2 * half, 18, 5); c.fill(); c.stroke();
      c.fillStyle = css("ink"); c.fillText(data.names[label], px, py + 4);
    }
  }

  function axes(c) {
    const rough = view.width / view.scale / 7, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
    const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    c.font = "11px system-ui, sans-serif";
    c.lineWidth = 3;
    c.strokeStyle = css("surface");
    c.fillStyle = css("muted");
    const write = (value, x, y) => { // with a rim, legible over tiles too
      const text = number(value, places);
      c.strokeText(text, x, y);
      c.fillText(text, x, y);
    };
    const [x0, y1] = plane.at(0, 0), [x1, y0] = plane.at(view.width, view.height);
    if (!small) {
      c.textAlign = "center";
      for (let k = Math.ceil(x0 / step); k * step <= x1; k++) {
        const x = plane.toX(k * step);
        if (x > 24 && x < view.width - 14) write(k * step, x, view.height - 6);
      }
      c.textAlign = "left";
      for (let k = Math.ceil(y0 / step); k * step <= y1; k++) {
        const y = plane.toY(k * step);
        if (y > 12 && y < view.height - 22) write(k * step, 5, y + 4);
      }
    }
    if (!model.posterior) return;
    c.strokeStyle = css("muted"); c.lineWidth = 1; c.setLineDash([3, 4]);
    for (const k of [1, 2, 3]) { // standard deviations of the prior
      c.beginPath(); c.arc(plane.toX(0), plane.toY(0), k * view.scale, 0, 7); c.stroke();
    }
    c.setLineDash([]);
  }

  function cursor(c) {
    const [x, y] = [plane.toX(plane.cursor[0]), plane.toY(plane.cursor[1])];
    const { index } = nearest(model.codes, plane.cursor)[0], near = row(model.codes, index, 2);
    c.lineWidth = 1; c.strokeStyle = css("ink"); c.globalAlpha = 0.35;
    c.beginPath(); c.moveTo(x, 0); c.lineTo(x, view.height); c.moveTo(0, y); c.lineTo(view.width, y); c.stroke();
    c.globalAlpha = 1;
    c.beginPath(); c.moveTo(x, y); c.lineTo(plane.toX(near[0]), plane.toY(near[1])); c.stroke();
    MARKS.code(c, plane, { z: near, color: data.colors[data.labels[index]], radius: 5 });
    c.lineWidth = 5; c.strokeStyle = css("surface");
    c.beginPath(); c.arc(x, y, 9, 0, 7); c.stroke();
    c.lineWidth = 2; c.strokeStyle = css("ink");
    c.beginPath(); c.arc(x, y, 9, 0, 7); c.stroke();
    if (plane.pinned) { c.fillStyle = css("ink"); c.beginPath(); c.arc(x, y, 3, 0, 7); c.fill(); }
  }

  if (!small) steer(plane);
  new ResizeObserver(measure).observe(canvas);
  document.addEventListener("themechange", () => { plane.changed(); refresh(); });
  return plane;
}

/** A card with a small plane: `title` and the model's name above it. */
export function makeMap(model, data, title, label) {
  const canvas = h("canvas", { class: "plane small", role: "img", "aria-label": `${label} ${model.title}` });
  const plane = makePlane(canvas, model, data, { small: true });
  plane.grid = false;
  const element = h("div", { class: "card" }, h("h2", { class: "caption" }, `${title} `, who(model, false)), canvas);
  return { model, plane, element };
}

/** What can be marked on a plane. */
const MARKS = {
  code(c, plane, { z, color, radius = 6 }) {
    c.fillStyle = color; c.strokeStyle = css("ink"); c.lineWidth = 2;
    c.beginPath(); c.arc(plane.toX(z[0]), plane.toY(z[1]), radius, 0, 7); c.fill(); c.stroke();
  },
  cloud(c, plane, { points }) {
    const [r, g, b] = rgb(css("ink"));
    c.fillStyle = `rgb(${r} ${g} ${b} / .5)`;
    for (const z of points) { c.beginPath(); c.arc(plane.toX(z[0]), plane.toY(z[1]), 1.5, 0, 7); c.fill(); }
  },
  way(c, plane, { points }) {
    c.strokeStyle = css("ink"); c.fillStyle = css("ink"); c.lineWidth = 1.5;
    c.beginPath();
    points.forEach((z, k) => c[k ? "lineTo" : "moveTo"](plane.toX(z[0]), plane.toY(z[1])));
    c.stroke();
    for (const z of points) { c.beginPath(); c.arc(plane.toX(z[0]), plane.toY(z[1]), 2.5, 0, 7); c.fill(); }
  },
};

/** The view that holds the codes but for the outermost. */
function homeOf(model) {
  const axis = (j, share) => {
    const values = model.codes.filter((_, i) => i % 2 === j).sort();
    return values[Math.round(share * (values.length - 1))];
  };
  const [left, right, bottom, top] = [axis(0, 0.002), axis(0, 0.998), axis(1, 0.002), axis(1, 0.998)];
  return {
    x: (left + right) / 2,
    y: (bottom + top) / 2,
    fit: ({ width, height }) => 0.88 * Math.min(width / (right - left || 1), height / (top - bottom || 1)),
  };
}
