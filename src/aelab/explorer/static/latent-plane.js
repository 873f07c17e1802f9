// The latent plane of a model with two latent dimensions: codes, axes, background and a cursor.
import { makeBackground } from "./background.js";
import { isCovered, nearest, row } from "./codes.js";
import { circle, debounce, h, modelName, number, oncePerFrame, rgb, themeColor } from "./dom.js";
import { addPanZoom } from "./pan-zoom.js";
import { toLatent, toPixelX, toPixelY } from "./viewport.js";

const MIN_ZOOM = 0.25, MAX_ZOOM = 60; // relative to the initial view

/**
 * A latent plane on `canvas`. `isHighlighted(i)` selects codes; `onCursor(z, pinned)`, `onView(plane)`
 * and `onSize()` are called when the cursor, the viewport or the size changes. A `small` plane is a
 * static picture with marks.
 */
export function makePlane(canvas, model, data, { isHighlighted = () => true, onCursor, onView, onSize, small = false } = {}) {
  const view = { x: 0, y: 0, scale: 1, width: 0, height: 0 };
  const plane = { canvas, model, view, cursor: null, pinned: false, grid: true, holes: true, marks: [] };
  const count = data.labels.length, radius = Math.max(1.1, Math.min(small ? 1.6 : 2.4, 60 / Math.sqrt(count)));
  const initial = initialView(model);
  plane.initial = initial;
  let scatter = null; // the codes as an image, until the view, the selection or the theme changes
  const repaint = oncePerFrame(paint);
  const background = makeBackground(model, data.size, repaint);
  const renderBackground = debounce(() => { if (view.width) background.request({ ...view }); }, 160);

  plane.toX = (x) => toPixelX(view, x);
  plane.toY = (y) => toPixelY(view, y);
  plane.at = (px, py) => toLatent(view, px, py);
  /** A code as fractions of the width and the height, to be used in another plane. */
  plane.toFractions = ([x, y]) => [plane.toX(x) / view.width, plane.toY(y) / view.height];
  plane.repaint = repaint;
  plane.repaintCodes = () => { scatter = null; repaint(); };

  /** The nearest code, and whether z is within the radius of any code. */
  plane.describe = (z) => ({ covered: isCovered(model, z), ...nearest(model.codes, z)[0] });

  plane.setView = ({ x, y, scale }, notify = true) => {
    Object.assign(view, { x, y, scale: clampScale(scale) });
    plane.repaintCodes();
    renderBackground();
    if (notify) onView?.(plane);
  };
  const clampScale = (scale) => Math.min(MAX_ZOOM * initial.fit(view), Math.max(MIN_ZOOM * initial.fit(view), scale));
  plane.zoom = (factor, px = view.width / 2, py = view.height / 2) => {
    const [x, y] = plane.at(px, py), scale = clampScale(view.scale * factor);
    plane.setView({ x: x - (px - view.width / 2) / scale, y: y + (py - view.height / 2) / scale, scale });
  };
  plane.pan = (dx, dy) => plane.setView({ ...view, x: view.x - dx / view.scale, y: view.y + dy / view.scale });
  plane.resetView = () => plane.setRelativeView([0, 0, 1]);
  /** The viewport relative to the initial one: shifts as fractions of the width, and the zoom. */
  plane.relativeView = () => {
    const unit = initial.fit(view) / view.width;
    return [(view.x - initial.x) * unit, (view.y - initial.y) * unit, view.scale / initial.fit(view)];
  };
  plane.setRelativeView = ([right, up, zoom], notify) => {
    if (!view.width) { pendingView = [right, up, zoom]; return; }
    const unit = initial.fit(view) / view.width;
    plane.setView({ x: initial.x + right / unit, y: initial.y + up / unit, scale: zoom * initial.fit(view) }, notify);
  };
  let pendingView = null; // set while the plane was hidden and had no size

  plane.setCursor = (z, pinned = plane.pinned) => {
    plane.cursor = z;
    plane.pinned = Boolean(z) && pinned;
    repaint();
  };
  plane.moveCursor = (z, pinned) => { plane.setCursor(z, pinned); onCursor?.(z, plane.pinned); };

  function resize() {
    const box = canvas.getBoundingClientRect();
    if (box.width < 40) return; // a hidden view
    const relative = pendingView ?? (view.width ? plane.relativeView() : [0, 0, 1]), ratio = devicePixelRatio || 1;
    Object.assign(view, { width: Math.round(box.width), height: Math.round(box.height) });
    canvas.width = view.width * ratio;
    canvas.height = view.height * ratio;
    pendingView = null;
    plane.setRelativeView(relative, false);
    onSize?.();
  }

  function paint() {
    if (!view.width) return;
    const ratio = devicePixelRatio || 1, c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, view.width, view.height);
    background.paint(c, view, plane);
    paintAxes(c);
    if (model.posterior) paintPrior(c);
    scatter ??= renderCodes(ratio);
    c.drawImage(scatter, 0, 0, view.width, view.height);
    for (const mark of plane.marks) MARKS[mark.kind](c, plane, mark);
    if (plane.cursor) paintCursor(c);
  }

  function renderCodes(ratio) {
    const image = new OffscreenCanvas(view.width * ratio, view.height * ratio), c = image.getContext("2d");
    const side = Math.ceil(2 * radius * ratio) + 2;
    const sprites = data.colors.map((color) => {
      const sprite = new OffscreenCanvas(side, side), s = sprite.getContext("2d");
      s.fillStyle = color;
      circle(s, side / 2, side / 2, radius * ratio); s.fill();
      return sprite;
    });
    for (const front of [false, true]) { // highlighted codes are painted last
      c.globalAlpha = front ? (small ? 0.45 : 0.85) : 0.1; // codes stay behind the marks of a small plane
      for (let i = 0; i < count; i++) {
        if (isHighlighted(i) !== front) continue;
        const x = plane.toX(model.codes[2 * i]) * ratio, y = plane.toY(model.codes[2 * i + 1]) * ratio;
        if (x > -side && y > -side && x < image.width + side && y < image.height + side) {
          c.drawImage(sprites[data.labels[i]], Math.round(x - side / 2), Math.round(y - side / 2));
        }
      }
    }
    c.globalAlpha = 1;
    c.scale(ratio, ratio);
    if (!small) paintClassNames(c);
    return image;
  }

  function paintClassNames(c) {
    c.font = "bold 12px system-ui, sans-serif";
    c.textAlign = "center";
    for (const [label, [x, y]] of Object.entries(model.positions)) {
      if (!data.indicesByClass[label].some(isHighlighted)) continue;
      const px = plane.toX(x), py = plane.toY(y), half = c.measureText(data.names[label]).width / 2 + 5;
      c.fillStyle = themeColor("surface"); c.strokeStyle = data.colors[label]; c.lineWidth = 1.5;
      c.beginPath(); c.roundRect(px - half, py - 9, 2 * half, 18, 5); c.fill(); c.stroke();
      c.fillStyle = themeColor("ink"); c.fillText(data.names[label], px, py + 4);
    }
  }

  function paintAxes(c) {
    if (small) return;
    const rough = view.width / view.scale / 7, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    c.font = "11px system-ui, sans-serif";
    c.lineWidth = 3;
    c.strokeStyle = themeColor("surface");
    c.fillStyle = themeColor("muted");
    const write = (value, x, y) => { // with an outline, legible over images
      const text = number(value, decimals);
      c.strokeText(text, x, y);
      c.fillText(text, x, y);
    };
    const [x0, y1] = plane.at(0, 0), [x1, y0] = plane.at(view.width, view.height);
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

  /** One, two and three standard deviations of the prior. */
  function paintPrior(c) {
    c.strokeStyle = themeColor("muted"); c.lineWidth = 1; c.setLineDash([3, 4]);
    for (const k of [1, 2, 3]) { circle(c, plane.toX(0), plane.toY(0), k * view.scale); c.stroke(); }
    c.setLineDash([]);
  }

  function paintCursor(c) {
    const [x, y] = [plane.toX(plane.cursor[0]), plane.toY(plane.cursor[1])];
    const { index } = nearest(model.codes, plane.cursor)[0], near = row(model.codes, index, 2);
    c.lineWidth = 1; c.strokeStyle = themeColor("ink"); c.globalAlpha = 0.35;
    c.beginPath(); c.moveTo(x, 0); c.lineTo(x, view.height); c.moveTo(0, y); c.lineTo(view.width, y); c.stroke();
    c.globalAlpha = 1;
    c.beginPath(); c.moveTo(x, y); c.lineTo(plane.toX(near[0]), plane.toY(near[1])); c.stroke();
    MARKS.code(c, plane, { z: near, color: data.colors[data.labels[index]], radius: 5 });
    c.lineWidth = 5; c.strokeStyle = themeColor("surface");
    circle(c, x, y, 9); c.stroke();
    c.lineWidth = 2; c.strokeStyle = themeColor("ink");
    c.stroke();
    if (plane.pinned) { c.fillStyle = themeColor("ink"); circle(c, x, y, 3); c.fill(); }
  }

  if (!small) addPanZoom(plane);
  new ResizeObserver(resize).observe(canvas);
  document.addEventListener("themechange", () => { plane.repaintCodes(); renderBackground(); });
  return plane;
}

/** A card with a small plane; `title` and the model's name are its caption. */
export function makeSmallPlane(model, data, title, label) {
  const canvas = h("canvas", { class: "plane small", role: "img", "aria-label": `${label} ${model.title}` });
  const plane = makePlane(canvas, model, data, { small: true });
  plane.grid = false;
  const element = h("div", { class: "card" }, h("h2", { class: "caption" }, `${title} `, modelName(model, false)), canvas);
  return { model, plane, element };
}

/** The marks of a plane: a code, samples, a path. */
const MARKS = {
  code(c, plane, { z, color, radius = 6 }) {
    c.fillStyle = color; c.strokeStyle = themeColor("ink"); c.lineWidth = 2;
    circle(c, plane.toX(z[0]), plane.toY(z[1]), radius); c.fill(); c.stroke();
  },
  samples(c, plane, { points }) {
    const [r, g, b] = rgb(themeColor("ink"));
    c.fillStyle = `rgb(${r} ${g} ${b} / .5)`;
    for (const z of points) { circle(c, plane.toX(z[0]), plane.toY(z[1]), 1.5); c.fill(); }
  },
  path(c, plane, { points }) {
    c.strokeStyle = themeColor("ink"); c.fillStyle = themeColor("ink"); c.lineWidth = 1.5;
    c.beginPath();
    points.forEach((z, k) => c[k ? "lineTo" : "moveTo"](plane.toX(z[0]), plane.toY(z[1])));
    c.stroke();
    for (const z of points) { circle(c, plane.toX(z[0]), plane.toY(z[1]), 2.5); c.fill(); }
  },
};

/** The viewport that shows all codes but the outermost 0.2% on each side. */
function initialView(model) {
  const quantile = (j, share) => {
    const values = model.codes.filter((_, i) => i % 2 === j).sort();
    return values[Math.round(share * (values.length - 1))];
  };
  const [left, right, bottom, top] = [quantile(0, 0.002), quantile(0, 0.998), quantile(1, 0.002), quantile(1, 0.998)];
  return {
    x: (left + right) / 2,
    y: (bottom + top) / 2,
    fit: ({ width, height }) => 0.88 * Math.min(width / (right - left || 1), height / (top - bottom || 1)),
  };
}
