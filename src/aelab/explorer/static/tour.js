// The guided tour: up to six steps that operate the page. It starts on request and never blocks.
import { isCovered, nearest } from "./codes.js";
import { button, h, motionAllowed, number, percent } from "./dom.js";

const WIDE = 832; // pixels, as in explorer.css

/** The tour's panel in `aside`; steps that need a model the run does not have are left out. */
export function makeTour(app, aside) {
  const steps = makeSteps(app);
  let current = -1, opener = null;

  async function goTo(index) {
    current = index;
    const step = steps[index], title = h("h2", { tabindex: -1 }, step.title);
    const isLast = index === steps.length - 1;
    aside.replaceChildren(
      h("div", {}, h("p", { class: "muted" }, `${index + 1} of ${steps.length}`), title),
      h("p", { class: "tour-text" }, step.text),
      h("p", { class: "buttons" },
        button(isLast ? "Close" : "Skip the tour", end, { class: "skip-tour" }),
        index ? button("Back", () => goTo(index - 1)) : null,
        button(isLast ? "Explore" : "Next", () => (isLast ? end() : goTo(index + 1)), { class: "primary" })));
    aside.hidden = false;
    document.documentElement.classList.add("touring");
    title.focus({ preventScroll: true });
    await step.run(() => current === index);
  }
  function end() {
    current = -1;
    aside.hidden = true;
    document.documentElement.classList.remove("touring");
    opener?.focus();
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape" && current >= 0) end(); });
  return { start(from) { opener = from; return goTo(0); } };
}

function makeSteps(app) {
  const { data, models } = app;
  const planeModels = models.filter((model) => model.d === 2), vae = models.find((model) => model.posterior);
  const lastOfClass = (k) => data.indicesByClass[Math.min(k, data.names.length - 1)].at(-1) ?? 0;
  const steps = [];
  /** Open a view; on a narrow screen scroll to the part that the step is about. */
  function open(view, part, state) {
    app.openView(view, state);
    if (innerWidth >= WIDE) return;
    document.querySelector(`[data-view="${view}"] ${part}`).scrollIntoView({ block: "start", behavior: "instant" });
  }
  const openPlane = (z) => open("plane", ".readouts", { at: `${planeModels[0].key}:${z}`, pin: 1 });

  if (planeModels.length) {
    steps.push({
      title: "The latent plane",
      text: "Each point is the code of a test image, two numbers; colours are classes, which no model saw in "
        + "training. The ring marks the same position in every plane, and the images above are what each decoder "
        + "produces from those two numbers alone.",
      run: () => openPlane(planeModels[0].codes.slice(0, 2)),
    }, {
      title: "Holes",
      get text() {
        const shares = planeModels.map((model) => `${percent(emptyRegion(model).share)} of the ${model.title}’s`);
        return "Hatching marks regions far from every code of a test image, where the decoder has seen little "
          + `training data. Within two standard deviations of the codes that is ${shares.join(" and ")} plane. `
          + "What is decoded there need not be a digit.";
      },
      run(isCurrent) {
        const { point } = emptyRegion(planeModels[0]);
        openPlane(point);
        return animateCursor(app.views.plane.planes[0], point, isCurrent);
      },
    });
  }
  if (vae) {
    const pair = [models.find((model) => !model.posterior && model.d === vae.d), vae].filter(Boolean);
    const blurrier = pair.length === 2 && pair[1].reconstruction > pair[0].reconstruction;
    const openKl = () => open("kl", ".kl-columns", { model: vae.key, i: lastOfClass(4) });
    steps.push({
      title: blurrier ? `Why the ${vae.title} is blurrier` : "The posterior is a distribution",
      get text() {
        const x = data.image(lastOfClass(4));
        const losses = pair.map((model) => `${model.title} ${number(model.reconstructionLoss(x, model.encode(x).mean), 0)} nats`);
        return `The ${vae.title} encodes an image as a distribution, not as a point; the small images are decoded `
          + "samples of it. One decoder must do well for all of them, so it decodes their mean, and a mean is "
          + `blurry. Reconstruction loss of this image: ${losses.join(", ")}.`;
      },
      run: () => open("draw", ".reconstructions", { copy: lastOfClass(4) }),
    }, {
      title: "KL by dimension",
      text: "A bar is the KL of one dimension from the prior: the nats of information about the image that this "
        + "dimension carries. A dimension with a KL near zero carries next to none. Switch one off and compare the "
        + "reconstructions.",
      run: openKl,
    }, {
      title: "The effect of β",
      get text() {
        const value = vae.beta === null ? "" : number(vae.beta, vae.beta % 1 ? 2 : 0);
        return "Training minimises the reconstruction loss plus β times the KL. With a higher β fewer dimensions are "
          + "worth their KL; here the half with the smaller KL is switched off."
          + (value && ` This model was trained with β = ${value}.`);
      },
      run() {
        openKl();
        app.views.kl.keepLargest(Math.ceil(vae.d / 2));
      },
    });
  }
  steps.push({
    title: "Interpolation",
    text: "Interpolate between two codes and read the classes: does the path pass through images that are no digits? "
      + "Use your own drawing as an end, or open the sliders and sample codes from the prior and from fitted "
      + "distributions. The URL keeps the state of the page, so a link shows the same view.",
    run: () => open("interpolate", ".paths", { from: lastOfClass(3), to: lastOfClass(8), d: models[0].d }),
  });
  return steps;
}

const emptyRegions = new Map();

/** The share of the region within two standard deviations of the codes that is empty, and the point
 * in it that is farthest from any code. */
function emptyRegion(model) {
  if (emptyRegions.has(model)) return emptyRegions.get(model);
  const side = 41;
  let total = 0, empty = 0, point = [...model.mean], farthest = -1;
  for (let i = 0; i < side; i++) for (let j = 0; j < side; j++) {
    const u = (4 * i) / (side - 1) - 2, v = (4 * j) / (side - 1) - 2;
    if (Math.hypot(u, v) > 2) continue;
    const z = [model.mean[0] + u * model.deviation[0], model.mean[1] + v * model.deviation[1]];
    total++;
    if (isCovered(model, z)) continue;
    empty++;
    const [{ distance }] = nearest(model.codes, z);
    if (distance > farthest) { farthest = distance; point = z; }
  }
  emptyRegions.set(model, { share: empty / total, point });
  return emptyRegions.get(model);
}

/** Move the cursor slowly from the centre of the plane to `to`. */
async function animateCursor(plane, to, isCurrent) {
  if (!motionAllowed() || !plane.cursor) return;
  const from = [plane.initial.x, plane.initial.y], began = performance.now();
  for (let share = 0; share < 1 && isCurrent();) {
    share = Math.min(1, (performance.now() - began) / 1100);
    const eased = share * share * (3 - 2 * share);
    plane.moveCursor([0, 1].map((k) => from[k] + eased * (to[k] - from[k])), true);
    await new Promise(requestAnimationFrame);
  }
}
