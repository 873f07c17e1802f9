// Elements, colours, number formats, images on canvases, and helpers for events.

/** An element with attributes (`class`, `data-…`, `aria-…`), listeners (`on…`) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export const button = (label, onclick, properties = {}) => h("button", { type: "button", onclick, ...properties }, label);

/** The rows of a definition list, from pairs of term and value. */
export const definitions = (pairs) => pairs.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]);

/** A colour of the theme, by its custom property. */
export const themeColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Red, green and blue of a colour written as #rrggbb. */
export const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

export const motionAllowed = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A number with a typographic minus, and no minus before zero. */
export const number = (value, decimals = 2) => value.toFixed(decimals).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");
export const percent = (share) => `${Math.round(100 * share)}%`;

/** A dot in the colour of a class. */
export function swatch(color) {
  const element = h("span", { class: "swatch" });
  element.style.background = color;
  return element;
}

/** A model's name in its colour. */
export function modelName(model, withSize = true) {
  const size = withSize ? ` d\u00a0=\u00a0${model.d}` : "";
  return h("span", { class: `role-${model.role}` }, h("span", { class: "who" }, model.title), size);
}

/** A canvas that shows an image; `paint` takes pixels in [0, 1], or null for an empty canvas. */
export function imageTile([height, width], name) {
  const canvas = h("canvas", { class: "tile", width, height, role: "img", "aria-label": name });
  let current = null;
  const draw = () => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (current) context.putImageData(toImageData(current, width, height), 0, 0);
  };
  tiles.set(canvas, draw);
  return {
    canvas,
    paint(pixels, label) {
      current = pixels && Float32Array.from(pixels);
      if (label !== undefined) canvas.setAttribute("aria-label", label);
      draw();
    },
  };
}

const tiles = new Map();
document.addEventListener("themechange", () => {
  for (const [canvas, draw] of tiles) if (canvas.isConnected) draw(); else tiles.delete(canvas);
});

let inverted = false;

/** Set once whether the images are dark on bright. */
export function setInverted(value) { inverted = value; }

/** Pixels in [0, 1] in the theme's text colour; opacity is the distance from the background's grey. */
export function toImageData(pixels, width, height) {
  const image = new ImageData(width, height), [r, g, b] = rgb(themeColor("ink"));
  for (let i = 0, at = 0; i < pixels.length; i++, at += 4) {
    image.data[at] = r; image.data[at + 1] = g; image.data[at + 2] = b; image.data[at + 3] = 255 * (inverted ? 1 - pixels[i] : pixels[i]);
  }
  return image;
}

/** The path of a circle on a 2D context, to be filled or stroked. */
export function circle(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

/** Call `action` once in the next frame, however often it is requested. */
export function oncePerFrame(action) {
  let requested = false;
  return () => {
    if (requested) return;
    requested = true;
    requestAnimationFrame(() => { requested = false; action(); });
  };
}

/** Call `action` when there was no call for so many milliseconds. */
export function debounce(action, milliseconds) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(action, milliseconds); };
}

/** A row of buttons of which one is pressed; `items` are { value, label }. */
export function buttonGroup(name, items, onChange) {
  const buttons = items.map(({ value, label }) => button(label, () => onChange(value)));
  const element = h("div", { class: "button-group", role: "group", "aria-label": name }, ...buttons);
  return {
    element,
    /** Press the button of a value, or those that a predicate accepts. */
    press(value) {
      const pressed = typeof value === "function" ? value : (own) => own === value;
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", pressed(items[i].value)));
    },
  };
}

/** Direction of each arrow key, [right, down]. */
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export const hasModifier = (event) => event.altKey || event.ctrlKey || event.metaKey;

/** Where a pointer is on an element, in CSS pixels. */
export function pointerPosition(element, event) {
  const box = element.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
