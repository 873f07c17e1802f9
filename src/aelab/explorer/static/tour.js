// The guided tour: six steps that drive the page itself. It never starts by itself and never blocks.
import { button, h, lively, number, percent } from "./dom.js";
import { nearest } from "./codes.js";

/** The tour's panel in `aside`; a step is left out where the run has nothing to show for it. */
export function makeTour(app, aside, views) {
  const steps = makeSteps(app, views);
  let at = -1, opener = null;

  async function go(index) {
    at = index;
    const step = steps[at], title = h("h2", { tabindex: -1 }, step.title), text = h("p", { class: "tour-text" });
    const last = at === steps.length - 1;
    aside.replaceChildren(
      h("div", {}, h("p", { class: "muted" }, `${at + 1} of ${steps.length}`), title), text,
      h("p", { class: "buttons" },
        button(last ? "Close" : "Skip the tour", end, { class: "skip-tour" }),
        at ? button("Back", () => go(at - 1)) : null,
        button(last ? "Explore" : "Next", () => (last ? end() : go(at + 1)), { class: "primary" })));
    aside.hidden = false;
    document.documentElement.classList.add("touring");
    text.textContent = step.text;
    title.focus({ preventScroll: true });
    await step.run(() => at === index);
  }
  function end() {
    at = -1;
    aside.hidden = true;
    document.documentElement.classList.remove("touring");
    opener?.focus();
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape" && at >= 0) end(); });
  return { start(from) { opener = from; return go(0); }, steps: steps.length };
}

function makeSteps(app, views) {
  const { data, models } = app;
  const flat = models.filter((model) => model.d === 2), cloudy = models.find((model) => model.posterior);
  const digit = (k) => data.members[Math.min(k, data.names.length - 1)].at(-1) ?? 0;
  const steps = [];
  /** A view in a state; on a narrow screen scrolled to the part that the step is about. */
  function show(view, part, state) {
    app.go(view, state);
    if (innerWidth >= 832) return;
    document.querySelector(`[data-view="${view}"] ${part}`).scrollIntoView({ block: "start", behavior: "instant" });
  }

  if (flat.length) {
    steps.push({
      title: "A map of digits",
      text: "Each point is a test image squeezed into two numbers; colours are classes, which no model was told. "
        + "The ring is a place in both planes, and the images above are what each decoder draws from those "
        + "two numbers alone.",
      run: () => show("plane", ".looks", { at: `${flat[0].key}:${flat[0].codes[0]},${flat[0].codes[1]}`, pin: 1 }),
    }, {
      title: "What a hole is",
      get text() {
        const shares = flat.map((model) => `${percent(emptiness(model).share)} of the ${model.title}’s`);
        return "The hatching marks places that are far from every code: no test image lies there, and little taught "
          + `the decoder what to draw. Within two standard deviations of the codes that is ${shares.join(" and ")} `
          + "plane. What is drawn there need not be a digit.";
      },
      run(wanted) {
        const { place } = emptiness(flat[0]);
        show("plane", ".looks", { at: `${flat[0].key}:${place}`, pin: 1 });
        return glide(views.plane.planes[0], place, wanted);
      },
    });
  }
  if (cloudy) {
    const pair = [models.find((model) => !model.posterior && model.d === cloudy.d), cloudy].filter(Boolean);
    const blurrier = pair.length === 2 && pair[1].reconstruction > pair[0].reconstruction;
    steps.push({
      title: blurrier ? `Why the ${cloudy.title} is blurrier` : "A code that is a cloud",
      get text() {
        const x = data.image(digit(4));
        const errors = pair.map((model) => `${model.title} ${number(model.error(x, model.encode(x).mean), 0)} nats`);
        return `The ${cloudy.title} codes an image as a cloud, not as a point; the small images are draws from it. `
          + "One decoder must do well for every code in the cloud, so it draws their mean, and a mean is soft. "
          + `Reconstruction of this image: ${errors.join(", ")}.`;
      },
      run: () => show("draw", ".answers", { copy: digit(4) }),
    }, {
      title: "What a dimension costs",
      text: "A bar is the KL of one dimension: the nats that it takes to say where in this dimension the image "
        + "lies, beyond what the prior knows. A bar near zero tells the decoder next to nothing. Switch one off "
        + "and watch what goes missing.",
      run: () => show("bits", ".ledger", { model: cloudy.key, i: digit(4) }),
    }, {
      title: "What β does",
      get text() {
        const price = cloudy.beta === null ? "" : number(cloudy.beta, cloudy.beta % 1 ? 2 : 0);
        return "Training minimises the image’s nats plus β times the code’s. β is the price of a nat: at a higher "
          + "price fewer dimensions earn their keep, as with the cheaper half switched off here."
          + (price && ` This model was trained with β = ${price}.`);
      },
      run() {
        show("bits", ".ledger", { model: cloudy.key, i: digit(4) });
        views.bits.keepDearest(Math.ceil(cloudy.d / 2));
      },
    });
  }
  steps.push({
    title: "From here to there",
    text: "Walk from one code to another and read the labels: does the way pass through images that are nothing? "
      + "Take your own drawing as an end, or go to the sliders and draw codes from the prior and from fitted "
      + "distributions. The address bar keeps what you see.",
    run: () => show("between", ".ways", { from: digit(3), to: digit(8), d: models[0].d }),
  });
  return steps;
}

const known = new Map();

/** How much of the region within two standard deviations of the codes is far from any, and where. */
function emptiness(model) {
  if (known.has(model)) return known.get(model);
  const side = 41;
  let inside = 0, empty = 0, place = [...model.mean], farthest = -1;
  for (let i = 0; i < side; i++) for (let j = 0; j < side; j++) {
    const u = (4 * i) / (side - 1) - 2, v = (4 * j) / (side - 1) - 2;
    if (Math.hypot(u, v) > 2) continue;
    const z = [model.mean[0] + u * model.deviation[0], model.mean[1] + v * model.deviation[1]];
    inside++;
    let covered = false;
    for (let k = 0; k < model.radius.length && !covered; k++) {
      covered = Math.hypot(model.codes[2 * k] - z[0], model.codes[2 * k + 1] - z[1]) <= model.radius[k];
    }
    if (covered) continue;
    empty++;
    const [{ distance }] = nearest(model.codes, z);
    if (distance > farthest) { farthest = distance; place = z; }
  }
  known.set(model, { share: empty / inside, place });
  return known.get(model);
}

/** Move the cursor to a place where the eye can follow it. */
async function glide(plane, to, wanted) {
  if (!lively() || !plane.cursor) return;
  const from = [plane.home.x, plane.home.y], began = performance.now();
  for (let share = 0; share < 1 && wanted();) {
    share = Math.min(1, (performance.now() - began) / 1100);
    const eased = share * share * (3 - 2 * share);
    plane.move([0, 1].map((k) => from[k] + eased * (to[k] - from[k])), true);
    await new Promise(requestAnimationFrame);
  }
}
