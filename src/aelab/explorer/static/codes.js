// Codes as vectors: distances, neighbours, interpolation, and samples.

/** The `count` codes (rows of `codes`) nearest to z, nearest first, as { index, distance }. */
export function nearest(codes, z, count = 1) {
  const d = z.length, found = [];
  for (let i = 0, at = 0; at < codes.length; i++, at += d) {
    let squared = 0;
    for (let j = 0; j < d; j++) squared += (codes[at + j] - z[j]) ** 2;
    if (found.length === count && squared >= found[count - 1].distance) continue;
    let k = found.length;
    while (k > 0 && found[k - 1].distance > squared) k--;
    found.splice(k, 0, { index: i, distance: squared });
    if (found.length > count) found.pop();
  }
  for (const one of found) one.distance = Math.sqrt(one.distance);
  return found;
}

/** Whether z, of two dimensions, is within the radius of any code: outside of all is a hole. */
export function isCovered({ codes, radius }, [x, y]) {
  return radius.some((r, i) => Math.hypot(codes[2 * i] - x, codes[2 * i + 1] - y) <= r);
}

/** Row i of codes of d dimensions. */
export const row = (codes, i, d) => codes.subarray(i * d, (i + 1) * d);

/** Linear interpolation: (1 − t) a + t b. */
export const lerp = (a, b, t) => a.map((v, j) => (1 - t) * v + t * b[j]);

/** Spherical interpolation; the norm is interpolated linearly (Shoemake, 1985; White, 2016). */
export function slerp(a, b, t) {
  const normA = norm(a), normB = norm(b);
  if (!normA || !normB) return lerp(a, b, t);
  const cosine = sum(a.map((v, j) => (v / normA) * (b[j] / normB)));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (Math.sin(angle) < 1e-6) return lerp(a, b, t);
  const p = Math.sin((1 - t) * angle) / Math.sin(angle), q = Math.sin(t * angle) / Math.sin(angle);
  const radius = (1 - t) * normA + t * normB;
  return a.map((v, j) => radius * ((p * v) / normA + (q * b[j]) / normB));
}

export const sum = (values) => values.reduce((total, v) => total + v, 0);
const norm = (a) => Math.sqrt(sum(a.map((v) => v * v)));
export const distance = (a, b) => norm(a.map((v, j) => v - b[j]));

/** The length of a path through points. */
export const pathLength = (points) => sum(points.slice(1).map((point, i) => distance(points[i], point)));

/** A sample of N(0, 1); Box and Muller (1958). */
function standardNormal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** A code from a sampler of content.py: a component by its weight, then mean + root · ε. */
export function sampleFrom({ weights, means, roots }) {
  let component = 0, remaining = Math.random();
  while (component < weights.length - 1 && remaining > weights[component]) remaining -= weights[component++];
  const mean = means[component], d = mean.length, noise = mean.map(standardNormal);
  return Float32Array.from(mean, (m, i) => m + sum(noise.map((e, j) => roots[component][i * d + j] * e)));
}

/** A sample of the posterior, z = μ + σ ε; Kingma and Welling (2014), section 2.4. */
export const samplePosterior = ({ mean, deviation }) => mean.map((m, j) => m + deviation[j] * standardNormal());
