// Every model's reconstruction of a drawing, its loss and KL in nats, and its code on the plane.
import { samplePosterior, sum } from "./codes.js";
import { button, debounce, definitions, h, imageTile, modelName, number, oncePerFrame, percent } from "./dom.js";
import { makeDrawingCanvas } from "./drawing-canvas.js";
import { makeSmallPlane } from "./latent-plane.js";
import { gaussianKL } from "./model.js";

const DECODED_SAMPLES = 6, PLANE_SAMPLES = 150;

export function drawView(app, section) {
  const { data, drawing, state } = app;
  const editor = makeDrawingCanvas(drawing, data.size, app.announce, () => { update(); saveState(); });
  const input = imageTile(data.size, "Your drawing as the models see it");
  section.querySelector(".editor").append(
    h("div", { class: "card canvas-card" }, editor.canvas),
    h("div", { class: "model-input" }, input.canvas,
      h("p", { class: "muted" }, "as the models see it"),
      h("p", { class: "buttons" },
        button("Undo", editor.undo), button("Clear", editor.clear), button("A test digit", copyRandomImage))));

  const cards = app.models.map((model) => makeReconstruction(app, model));
  const maps = app.models.filter((model) => model.d === 2)
    .map((model) => makeSmallPlane(model, data, "In the plane of the", "Code of the drawing in the plane of the"));
  section.querySelector(".reconstructions").append(...[...cards, ...maps].map((one) => one.element));

  const update = oncePerFrame(() => {
    const x = drawing.isEmpty() ? null : drawing.pixels();
    input.paint(x);
    for (const card of cards) card.show(x);
    for (const { model, plane } of maps) {
      plane.marks = marksOf(cards.find((card) => card.model === model).code);
      plane.repaint();
    }
    describe();
  });
  const describe = debounce(() => {
    for (const card of cards) card.describe();
    if (!section.hidden) app.announce(cards.map((card) => card.summary).join(". "));
  }, 80);
  const saveState = () => state.update(app.drawingState());
  function copyRandomImage() {
    app.copyTestImage(Math.floor(Math.random() * data.count));
    editor.repaint();
    update();
    saveState();
  }

  return {
    show() {
      app.loadDrawing();
      editor.repaint();
      update();
    },
  };
}

/** The code of a drawing and, with a posterior, samples of it. */
function marksOf(code) {
  if (!code) return [];
  const mark = { kind: "code", z: code.mean, color: "#ffffff", radius: 4 };
  if (!code.deviation) return [mark];
  return [{ kind: "samples", points: Array.from({ length: PLANE_SAMPLES }, () => samplePosterior(code)) }, mark];
}

function makeReconstruction(app, model) {
  const { data } = app, name = `Reconstruction of the ${model.name}`, image = imageTile(data.size, name);
  const facts = h("dl", { class: "facts" });
  const samples = Array.from({ length: model.posterior ? DECODED_SAMPLES : 0 }, () => imageTile(data.size, "A decoded sample"));
  const label = { class: "samples", role: "group", "aria-label": "Decoded samples of the posterior" };
  const strip = samples.length ? h("div", label, ...samples.map((one) => one.canvas)) : null;
  let x = null, pixels = null;
  const card = {
    model,
    code: null,
    summary: "",
    element: h("div", { class: "card reconstruction" }, h("h2", {}, modelName(model)), image.canvas, facts, strip),
    show(input) {
      x = input;
      card.code = x && model.encode(x);
      pixels = x && model.decode(card.code.mean);
      image.paint(pixels);
      for (const one of samples) one.paint(x && model.decode(samplePosterior(card.code)));
    },
    describe() {
      card.summary = "";
      facts.replaceChildren();
      if (!x) return;
      const { label, probability } = app.classifier.classify(pixels), loss = model.reconstructionLoss(x, card.code.mean);
      const className = data.names[label];
      const rows = [["classified as", `${className} (${percent(probability)})`], ["loss", `${number(loss, 1)} nats`]];
      if (model.posterior) rows.push(["KL", `${number(sum(gaussianKL(card.code)), 1)} nats`]);
      facts.append(...definitions(rows));
      image.canvas.setAttribute("aria-label", `${name}: classified as ${className}`);
      card.summary = `${model.name}: classified as ${className}, loss ${number(loss, 0)} nats`;
    },
  };
  return card;
}
