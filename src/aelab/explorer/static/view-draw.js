// What every model makes of a drawing: reconstruction, costs in nats, and where the code lies.
import { h, number, onceAFrame, percent, tile, whenQuiet, who } from "./dom.js";
import { gaussianKL } from "./model.js";
import { makePad } from "./pad.js";
import { makePlane } from "./plane.js";
import { sample } from "./codes.js";

const DRAWS = 6, CLOUD = 150;

export function drawView(app, section) {
  const { data, drawing, state } = app;
  const pad = makePad(drawing, data.size, app.say, () => { update(); keep(); });
  const seen = tile(data.size, "Your drawing as the models see it");
  section.querySelector(".sheet").append(
    h("div", { class: "card paper" }, pad.canvas),
    h("div", { class: "under" }, seen.canvas,
      h("p", { class: "muted" }, "as the models see it"),
      h("p", { class: "buttons" },
        h("button", { type: "button", onclick: () => pad.undo() }, "Undo"),
        h("button", { type: "button", onclick: () => pad.clear() }, "Clear"),
        h("button", { type: "button", onclick: () => { app.copy(Math.floor(Math.random() * data.count)); pad.repaint(); update(); keep(); } }, "A test digit"))));

  const answers = app.models.map((model) => makeAnswer(app, model));
  const planes = app.models.filter((model) => model.d === 2).map((model) => {
    const canvas = h("canvas", { class: "plane small", role: "img", "aria-label": `Where the drawing lies on the plane of the ${model.title}` });
    const plane = makePlane(canvas, model, data, { steered: false, small: true });
    plane.grid = false;
    return { plane, element: h("div", { class: "card" }, h("h2", { class: "caption" }, "On the plane of the ", who(model, false)), canvas) };
  });
  section.querySelector(".answers").append(...answers.map((one) => one.element), ...planes.map((one) => one.element));

  const update = onceAFrame(() => {
    const x = drawing.pixels(), empty = !x.some((v) => v > 0);
    seen.paint(empty ? null : x);
    for (const answer of answers) answer.show(empty ? null : x);
    for (const { plane } of planes) {
      const found = answers.find((one) => one.model === plane.model).code;
      plane.marks = found ? [
        ...(found.deviation ? [{ kind: "cloud", points: Array.from({ length: CLOUD }, () => sample(found)), color: plane.model.role }] : []),
        { kind: "code", z: found.mean, color: "#ffffff" },
      ] : [];
      plane.repaint();
    }
    describe();
  });
  const describe = whenQuiet(() => {
    for (const answer of answers) answer.describe();
    if (!section.hidden) app.say(answers.map((one) => one.words()).join(". "));
  }, 80);
  const keep = () => { if (!section.hidden) state.keep(app.writeDrawing()); };

  return {
    show() {
      app.readDrawing();
      pad.repaint();
      update();
    },
  };
}

function makeAnswer(app, model) {
  const { data } = app, image = tile(data.size, `Reconstruction of the ${model.name}`);
  const facts = h("dl", { class: "pairs-of" });
  const draws = model.posterior ? Array.from({ length: DRAWS }, () => tile(data.size, "A draw from the posterior, decoded")) : [];
  let pixels = null, words = "";
  const answer = {
    model,
    code: null,
    element: h("div", { class: "card answer" }, h("h2", {}, who(model)), image.canvas, facts,
      draws.length ? h("div", { class: "draws", role: "group", "aria-label": "Six draws from the posterior" }, ...draws.map((one) => one.canvas)) : null),
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
      const rows = [["looks like", `${data.names[label]} (${percent(probability)})`], ["error", `${number(error, 1)} nats`]];
      if (model.posterior) rows.push(["KL", `${number(gaussianKL(answer.code).reduce((sum, v) => sum + v, 0), 1)} nats`]);
      facts.append(...rows.flatMap(([term, fact]) => [h("dt", {}, term), h("dd", {}, fact)]));
      image.canvas.setAttribute("aria-label", `Reconstruction of the ${model.name}: looks like ${data.names[label]}`);
      words = `${model.name}: looks like ${data.names[label]}, error ${number(error, 0)} nats`;
    },
    words: () => words,
  };
  return answer;
}
