// A sheet to draw on with mouse, pen, finger or keys. Strokes are points in the unit square.
import { css, digitImage, h, onceAFrame } from "./dom.js";
import { snap } from "./strokes.js";

const CLOSE = 0.012, PEN = 0.075; // of the side: points nearer than this add nothing; the pen's width
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** `drawing` is { strokes, image }: an image in place of strokes is shown until something is drawn. */
export function makePad(drawing, [height, width], say, onChange) {
  const canvas = h("canvas", {
    class: "pad", tabindex: 0, role: "application", "aria-roledescription": "drawing sheet",
    "aria-label": "Drawing sheet. Arrow keys move the pen, Space sets it down and lifts it, Delete clears the sheet.",
  });
  const pen = { at: [snap(0.5), snap(0.3)], down: false };
  const repaint = onceAFrame(paint);
  let stroke = null;

  function begin(point) {
    if (drawing.image) drawing.image = null;
    stroke = [point];
    drawing.strokes.push(stroke);
    changed();
  }
  function go(point) {
    const last = stroke.at(-1);
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < CLOSE) return;
    stroke.push(point);
    changed();
  }
  function changed() { repaint(); onChange(); }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v) => snap(v / box.width));
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pen.down = false;
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || pen.down || !canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) go(place(one));
    go(place(event));
  });
  canvas.addEventListener("pointerup", () => { if (!pen.down) stroke = null; });

  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in KEYS) {
      const step = event.shiftKey ? 0.02 : 0.06;
      pen.at = pen.at.map((v, k) => snap(Math.min(0.97, Math.max(0.03, v + step * KEYS[event.key][k]))));
      if (pen.down) go(pen.at); else repaint();
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) begin(pen.at); else { stroke = null; repaint(); }
      say(pen.down ? "Pen down" : "Pen up");
    } else if (event.key === "Delete" || event.key === "Backspace") pad.clear();
    else return;
    event.preventDefault();
  });
  for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, repaint);

  function paint() {
    const side = canvas.getBoundingClientRect().width, ratio = devicePixelRatio || 1;
    if (!side) return;
    canvas.width = canvas.height = Math.round(side * ratio);
    const c = canvas.getContext("2d");
    c.scale(canvas.width, canvas.width);
    if (drawing.image) {
      const small = new OffscreenCanvas(width, height);
      small.getContext("2d").putImageData(digitImage(drawing.image, width, height), 0, 0);
      c.imageSmoothingEnabled = false;
      c.drawImage(small, 0, 0, 1, 1);
    } else if (!drawing.strokes.length) {
      c.save();
      c.scale(0.01, 0.01);
      c.fillStyle = css("muted");
      c.font = "5px system-ui, sans-serif";
      c.textAlign = "center";
      c.fillText("Draw here", 50, 51);
      c.restore();
    }
    c.strokeStyle = c.fillStyle = css("ink");
    c.lineWidth = PEN;
    c.lineCap = c.lineJoin = "round";
    for (const points of drawing.strokes) {
      c.beginPath();
      points.forEach(([x, y], k) => c[k ? "lineTo" : "moveTo"](x, y));
      if (points.length === 1) c.lineTo(points[0][0] + 1e-4, points[0][1]);
      c.stroke();
    }
    if (document.activeElement !== canvas || !canvas.matches(":focus-visible")) return;
    c.lineWidth = 0.008;
    c.strokeStyle = css("accent");
    c.beginPath(); c.arc(...pen.at, PEN / 2 + 0.015, 0, 7); c.stroke(); // where the keys' pen is
  }

  const pad = {
    canvas,
    repaint,
    clear() { drawing.strokes.length = 0; drawing.image = null; stroke = null; pen.down = false; changed(); },
    undo() { drawing.image = null; drawing.strokes.pop(); stroke = null; pen.down = false; changed(); },
  };
  new ResizeObserver(repaint).observe(canvas);
  document.addEventListener("themechange", repaint);
  return pad;
}
