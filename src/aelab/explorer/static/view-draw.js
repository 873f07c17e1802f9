// What every model makes of a drawing: reconstruction, costs in nats, and where the code lies.
import { button, h, number, onceAFrame, percent, tile, whenQuiet, who } from "./dom.js";
import { gaussianKL } from "./model.js";
import { makePad } from "./pad.js";
import { makeMap } from "./plane.js";
import { sample } from "./codes.js";

const DRAWS = 6, CLOUD = 150;
const total = (values) => values.reduce((sum, v) => sum + v, 0);

export function drawView(app, section) {
  const { data, drawing, state } = app;
  const pad = makePad(drawing, data.size, app.say, () => { update(); keep(); });
  const seen = tile(data.size, "Your drawing as the models see it");
  section.querySelector(".sheet").append(
    h("div", { class: "card paper" }, pad.canvas),
    h("div", { class: "under" }, seen.canvas,
      h("p", { class: "muted" }, "as the models see it"),
      h("p", { class: "buttons" },
        button("Undo", () => pad.undo()), button("Clear", () => pad.clear()), button("A test digit", copyOne))));

  const answers = app.models.map((model) => makeAnswer(app, model));
  const maps = app.models.filter((model) => model.d === 2)
    .map((model) => makeMap(model, data, "On the plane of the", "Where the drawing lies on the plane of the"));
  section.querySelector(".answers").append(...[...answers, ...maps].map((one) => one.element));

  const update = onceAFrame(() => {
    const x = drawing.pixels(), empty = drawing.empty();
    seen.paint(empty ? null : x);
    for (const answer of answers) answer.show(empty ? null : x);
    for (const { model, plane } of maps) {
      plane.marks = marksOf(answers.find((one) => one.model === model).code);
      plane.repaint();
    }
    describe();
  });
  const describe = whenQuiet(() => {
    for (const answer of answers) answer.describe();
    if (!section.hidden) app.say(answers.map((one) => one.words()).join(". "));
  }, 80);
  const keep = () => state.keep(app.writeDrawing());
  function copyOne() {
    app.copy(Math.floor(Math.random() * data.count));
    pad.repaint();
    update();
    keep();
  }

  return {
    show() {
      app.readDrawing();
      pad.repaint();
      update();
    },
  };
}

/** The code of a drawing, in the cloud of its posterior where there is one. */
function marksOf(code) {
  if (!code) return [];
  const mark = { kind: "code", z: code.mean, color: "#ffffff", radius: 4 };
  if (!code.deviation) return [mark];
  return [{ kind: "cloud", points: Array.from({ length: CLOUD }, () => sample(code)) }, mark];
}

function makeAnswer(app, model) {
  const { data } = app, image = tile(data.size, `Reconstruction of the ${model.name}`);
  const facts = h("dl", { class: "pairs-of" });
  const draws = Array.from({ length: model.posterior ? DRAWS : 0 }, () => tile(data.size, "A draw, decoded"));
  const about = { class: "draws", role: "group", "aria-label": "Draws from the posterior" };
  const strip = draws.length ? h("div", about, ...draws.map((one) => one.canvas)) : null;
  let pixels = null, words = "";
  const answer = {
    model,
    code: null,
    element: h("div", { class: "card answer" }, h("h2", {}, who(model)), image.canvas, facts, strip),
    show(x) {
      answer.code = x && model.encode(x);
      pixels = x && model.decode(answer.code.mean);
      image.paint(pixels);
      for (const one of draws) one.paint(x && model.decode(sample(answer.code)));
      answer.x = x;
    },
    describe() {
      words = "";
      facts.replaceChildren();
      if (!pixels) return;
      const { label, probability } = app.judge.tell(pixels), error = model.error(answer.x, answer.code.mean);
      const verdict = `${data.names[label]} (${percent(probability)})`;
      const rows = [["looks like", verdict], ["error", `${number(error, 1)} nats`]];
      if (model.posterior) rows.push(["KL", `${number(total(gaussianKL(answer.code)), 1)} nats`]);
      facts.append(...rows.flatMap(([term, fact]) => [h("dt", {}, term), h("dd", {}, fact)]));
      image.canvas.setAttribute("aria-label", `Reconstruction of the ${model.name}: looks like ${data.names[label]}`);
      words = `${model.name}: looks like ${data.names[label]}, error ${number(error, 0)} nats`;
    },
    words: () => words,
  };
  return answer;
}
