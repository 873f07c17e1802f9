// A canvas to draw on with mouse, pen, finger or keys. Strokes are points in the unit square.
import { ARROWS, circle, h, hasModifier, oncePerFrame, pointerPosition, themeColor, toImageData } from "./dom.js";
import { quantize } from "./rasterise.js";

const MIN_STEP = 0.012, PEN_WIDTH = 0.075; // of the side: nearer points are skipped

/** `drawing` is { strokes, image }: an image is shown in place of strokes until something is drawn. */
export function makeDrawingCanvas(drawing, [height, width], announce, onChange) {
  const canvas = h("canvas", {
    class: "drawing", tabindex: 0, role: "application", "aria-roledescription": "drawing canvas",
    "aria-label": "Drawing canvas. Arrow keys move the pen, Space lowers and lifts it, Delete clears the canvas.",
  });
  const pen = { at: [quantize(0.5), quantize(0.3)], down: false }; // of the keyboard
  const repaint = oncePerFrame(paint);
  let stroke = null;

  function beginStroke(point) {
    drawing.image = null;
    stroke = [point];
    drawing.strokes.push(stroke);
    changed();
  }
  function extendStroke(point) {
    const last = stroke.at(-1);
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < MIN_STEP) return;
    stroke.push(point);
    changed();
  }
  function endStroke() { stroke = null; pen.down = false; }
  function changed() { repaint(); onChange(); }

  const positionOf = (event) => {
    const side = canvas.getBoundingClientRect().width;
    return pointerPosition(canvas, event).map((v) => quantize(v / side));
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pen.down = false;
    beginStroke(positionOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || pen.down || !canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of [...event.getCoalescedEvents?.() ?? [], event]) extendStroke(positionOf(one));
  });
  canvas.addEventListener("pointerup", () => { if (!pen.down) stroke = null; });

  canvas.addEventListener("keydown", (event) => {
    if (hasModifier(event)) return;
    if (event.key in ARROWS) {
      const step = event.shiftKey ? 0.02 : 0.06;
      pen.at = pen.at.map((v, k) => quantize(Math.min(0.97, Math.max(0.03, v + step * ARROWS[event.key][k]))));
      if (pen.down) extendStroke(pen.at); else repaint();
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) beginStroke(pen.at); else { stroke = null; repaint(); }
      announce(pen.down ? "Pen down" : "Pen up");
    } else if (event.key === "Delete" || event.key === "Backspace") clear();
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
      small.getContext("2d").putImageData(toImageData(drawing.image, width, height), 0, 0);
      c.imageSmoothingEnabled = false;
      c.drawImage(small, 0, 0, 1, 1);
    } else if (!drawing.strokes.length) {
      c.save();
      c.scale(0.01, 0.01);
      c.fillStyle = themeColor("muted");
      c.font = "5px system-ui, sans-serif";
      c.textAlign = "center";
      c.fillText("Draw here", 50, 51);
      c.restore();
    }
    c.strokeStyle = themeColor("ink");
    c.lineWidth = PEN_WIDTH;
    c.lineCap = c.lineJoin = "round";
    for (const points of drawing.strokes) {
      c.beginPath();
      points.forEach(([x, y], k) => c[k ? "lineTo" : "moveTo"](x, y));
      if (points.length === 1) c.lineTo(points[0][0] + 1e-4, points[0][1]); // a dot
      c.stroke();
    }
    if (document.activeElement !== canvas || !canvas.matches(":focus-visible")) return;
    c.lineWidth = 0.008;
    c.strokeStyle = themeColor("accent");
    circle(c, ...pen.at, PEN_WIDTH / 2 + 0.015); // the keyboard's pen
    c.stroke();
  }

  function clear() {
    drawing.strokes.length = 0;
    drawing.image = null;
    endStroke();
    changed();
  }
  function undo() {
    drawing.image = null;
    drawing.strokes.pop();
    endStroke();
    changed();
  }
  new ResizeObserver(repaint).observe(canvas);
  document.addEventListener("themechange", repaint);
  return { canvas, repaint, clear, undo };
}
