// A trained model: encoding, decoding, reconstruction loss and KL; and the digit classifier.
import { makeNetwork } from "./inference.js";
import { unpack, unpackAll } from "./unpack.js";

/** A model from a record of content.py; its codes and radii become typed arrays. */
export async function makeModel(record, pixels) {
  const encoder = makeNetwork(record.encoder.layers, await unpackAll(record.encoder.tensors), pixels);
  const decoder = makeNetwork(record.decoder.layers, await unpackAll(record.decoder.tensors), record.d);
  const d = record.d;
  const bernoulli = record.likelihood === "bernoulli", mean = bernoulli ? sigmoid : continuousMean;
  return {
    ...record,
    name: `${record.title} d = ${d}`,
    codes: await unpack(record.codes),
    radius: record.radius && await unpack(record.radius),
    order: [...record.weight.keys()].sort((a, b) => record.weight[b] - record.weight[a]), // most used first
    /** The mean of the code of an image and, with a posterior, its standard deviations. */
    encode(x) {
      const out = encoder.run(x);
      return {
        mean: out.slice(0, d),
        deviation: record.posterior ? out.slice(d, 2 * d).map((v) => Math.exp(0.5 * v)) : null,
      };
    },
    /** The decoded pixels of a code, in [0, 1], written into `out`. */
    decode(z, out = new Float32Array(pixels)) {
      const logits = decoder.run(z);
      for (let i = 0; i < pixels; i++) out[i] = mean(logits[i]);
      return out;
    },
    /** Reconstruction loss −log p(x|z) in nats. */
    reconstructionLoss(x, z) {
      const logits = decoder.run(z);
      let sum = 0;
      for (let i = 0; i < pixels; i++) {
        sum += softplus(logits[i]) - logits[i] * x[i];
        if (!bernoulli) sum -= logNormaliser(logits[i]);
      }
      return sum;
    },
  };
}

/** KL(N(μ, σ²) ‖ N(0, 1)) of each dimension in nats; Kingma and Welling (2014), appendix B. */
export function gaussianKL({ mean, deviation }) {
  return mean.map((m, j) => 0.5 * (m * m + deviation[j] ** 2 - 1) - Math.log(deviation[j]));
}

/** The digit classifier from a record of content.py. */
export async function makeClassifier(record, pixels) {
  const network = makeNetwork(record.layers, await unpackAll(record.tensors), pixels);
  return {
    accuracy: record.accuracy,
    /** The most probable class of an image and its probability. */
    classify(x) {
      const logits = network.run(x);
      let best = 0, sum = 0;
      for (let k = 1; k < logits.length; k++) if (logits[k] > logits[best]) best = k;
      for (const logit of logits) sum += Math.exp(logit - logits[best]);
      return { label: best, probability: 1 / sum };
    },
  };
}

const sigmoid = (l) => 1 / (1 + Math.exp(-l));
const softplus = (l) => Math.max(l, 0) + Math.log1p(Math.exp(-Math.abs(l)));

// The continuous Bernoulli (Loaiza-Ganem and Cunningham, 2019) in logits; near 0 the series.
const continuousMean = (l) => (Math.abs(l) < 0.02 ? 0.5 + l / 12 : sigmoid(l) / Math.tanh(l / 2) - 1 / l);
const logNormaliser = (l) => Math.log(Math.abs(l) < 0.02 ? 2 + (l * l) / 6 : l / Math.tanh(l / 2));
