// Elements, colours, numbers and digits on canvases.

/** An element with properties (`class`, `data-…`, `aria-…`, `on…`) and children. */
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

/** A button that does something. */
export const button = (label, onclick, properties = {}) => h("button", { type: "button", onclick, ...properties }, label);

/** A colour of the theme, by its custom property. */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Whether movement is welcome. */
export const lively = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A number with a true minus. */
export const number = (value, places = 2) => value.toFixed(places).replace(/^-(0(\.0*)?)$/, "$1").replace("-", "−");
export const percent = (share) => `${Math.round(100 * share)}%`;

/** A spot in the colour of a class. */
export function swatch(color) {
  const element = h("span", { class: "swatch" });
  element.style.background = color;
  return element;
}

/** A model's name in its colour. */
export function who(model, withSize = true) {
  const size = withSize ? ` d\u00a0=\u00a0${model.d}` : "";
  return h("span", { class: `role-${model.role}` }, h("span", { class: "who" }, model.title), size);
}

/** A canvas that shows an image; `paint` gives it pixels in [0, 1], or null for none. */
export function tile([height, width], name, className = "tile") {
  const canvas = h("canvas", { class: className, width, height, role: "img", "aria-label": name });
  let shown = null;
  const draw = () => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (shown) context.putImageData(digitImage(shown, width, height), 0, 0);
  };
  tiles.set(canvas, draw);
  return {
    canvas,
    paint(pixels, label) {
      shown = pixels && Float32Array.from(pixels);
      if (label !== undefined) canvas.setAttribute("aria-label", label);
      draw();
    },
  };
}

const tiles = new Map();
document.addEventListener("themechange", () => {
  for (const [canvas, draw] of tiles) if (canvas.isConnected) draw(); else tiles.delete(canvas);
});

let inverted = false; // whether the data are dark on bright

/** Say once whether the data are dark on bright, so that their background is shown as paper. */
export function setInverted(value) { inverted = value; }

/** Pixels in [0, 1] as ink of the theme: its opacity is the distance from the background's grey level. */
export function digitImage(pixels, width, height) {
  const image = new ImageData(width, height), [r, g, b] = rgb(css("ink"));
  for (let i = 0, at = 0; i < pixels.length; i++, at += 4) {
    image.data[at] = r; image.data[at + 1] = g; image.data[at + 2] = b; image.data[at + 3] = 255 * (inverted ? 1 - pixels[i] : pixels[i]);
  }
  return image;
}

/** Red, green and blue of a colour written as #rrggbb. */
export const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

/** Call once in the next frame, however often it is asked for. */
export function onceAFrame(action) {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; action(); });
  };
}

/** Call when there was quiet for so many milliseconds. */
export function whenQuiet(action, milliseconds) {
  let timer;
  return (...words) => { clearTimeout(timer); timer = setTimeout(() => action(...words), milliseconds); };
}

/** A row of buttons of which one is pressed; `items` are { value, label }. */
export function choice(name, items, onChange) {
  const buttons = items.map(({ value, label }) => button(label, () => onChange(value)));
  const element = h("div", { class: "choice", role: "group", "aria-label": name }, ...buttons);
  return {
    element,
    /** Press one by its value, or those that a function names. */
    show(value) {
      const pressed = typeof value === "function" ? value : (own) => own === value;
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", pressed(items[i].value)));
    },
  };
}
