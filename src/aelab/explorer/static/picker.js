// The choice of an image: a test digit by class and turn, or the drawing.
import { button, h, tile } from "./dom.js";

const DRAWING = "drawing";

/** A group named `title`; `onPick` hears of an index, or of "drawing" where `withDrawing`. */
export function makePicker(app, title, onPick, withDrawing = true) {
  const { data } = app, image = tile(data.size, title);
  let picked = 0;
  const classes = h("select", { "aria-label": `${title}: class`, onchange: choose },
    ...data.names.flatMap((name, k) => (data.members[k].length ? [h("option", { value: k }, name)] : [])),
    ...(withDrawing ? [h("option", { value: DRAWING }, "my drawing")] : []));
  const turn = (step) => () => {
    const of = data.members[data.labels[picked]];
    pick(of[(of.indexOf(picked) + step + of.length) % of.length]);
  };
  const buttons = [["‹", "previous", -1], ["›", "next", 1]].map(([sign, word, step]) =>
    button(sign, turn(step), { "aria-label": `${title}: ${word} of the class` }));
  const element = h("fieldset", { class: "end" }, h("legend", {}, title), image.canvas, classes, ...buttons);

  function choose() {
    pick(classes.value === DRAWING ? DRAWING : data.members[classes.value][0]);
  }
  function pick(value) {
    show(value);
    onPick(value);
  }
  function show(value) {
    picked = value;
    const drawn = value === DRAWING;
    classes.value = drawn ? DRAWING : data.labels[value];
    for (const one of buttons) one.disabled = drawn;
    image.paint(pixelsOf(app, value), `${title}: ${wordsOf(app, value)}`);
  }
  return { element, show };
}

/** The pixels of a picked image. */
export const pixelsOf = (app, value) => (value === DRAWING ? app.drawing.pixels() : app.data.image(value));

const wordsOf = ({ data }, value) =>
  (value === DRAWING ? "my drawing" : `${data.names[data.labels[value]]}, test image ${value}`);

/** A picked image from the state: an index within the data, "drawing", or `otherwise`. */
export function readPick(app, name, otherwise) {
  const text = app.state.get(name);
  if (text === DRAWING) return DRAWING;
  return text && /^\d+$/.test(text) && Number(text) < app.data.count ? Number(text) : otherwise;
}
