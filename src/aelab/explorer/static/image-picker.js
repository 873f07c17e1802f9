// Choice of an image: a test digit by class, or the drawing.
import { button, h, imageTile } from "./dom.js";

const DRAWING = "drawing";

/** A group named `title`; `onPick` gets the index of a test image, or "drawing". */
export function makePicker(app, title, onPick) {
  const { data } = app, image = imageTile(data.size, title);
  let picked = 0;
  const classes = h("select", { "aria-label": `${title}: class`, onchange: pickClass },
    ...data.names.flatMap((name, k) => (data.indicesByClass[k].length ? [h("option", { value: k }, name)] : [])),
    h("option", { value: DRAWING }, "my drawing"));
  const step = (by) => () => {
    const indices = data.indicesByClass[data.labels[picked]];
    pick(indices[(indices.indexOf(picked) + by + indices.length) % indices.length]);
  };
  const buttons = [["‹", "previous", -1], ["›", "next", 1]].map(([sign, name, by]) =>
    button(sign, step(by), { "aria-label": `${title}: ${name} of the class` }));
  const element = h("fieldset", { class: "picker" }, h("legend", {}, title), image.canvas, classes, ...buttons);

  function pickClass() {
    pick(classes.value === DRAWING ? DRAWING : data.indicesByClass[classes.value][0]);
  }
  function pick(value) {
    show(value);
    onPick(value);
  }
  function show(value) {
    picked = value;
    const isDrawing = value === DRAWING;
    classes.value = isDrawing ? DRAWING : data.labels[value];
    for (const one of buttons) one.disabled = isDrawing;
    const name = isDrawing ? "my drawing" : `${data.names[data.labels[value]]}, test image ${value}`;
    image.paint(pickedPixels(app, value), `${title}: ${name}`);
  }
  return { element, show };
}

/** The pixels of a picked image. */
export const pickedPixels = (app, value) => (value === DRAWING ? app.drawing.pixels() : app.data.image(value));

/** Values of the URL state that describe the drawing, if it is among the picked images. */
export const drawingStateOf = (app, ...values) => (values.includes(DRAWING) ? app.drawingState() : {});

/** A picked image from the URL state: an index of the data, "drawing", or `fallback`. */
export function readPick(app, name, fallback) {
  const text = app.state.get(name);
  if (text === DRAWING) return DRAWING;
  return text && /^\d+$/.test(text) && Number(text) < app.data.count ? Number(text) : fallback;
}
