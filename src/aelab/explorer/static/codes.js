// Codes as vectors: distances, neighbours, ways between them, draws from a sampler.

/** The `count` codes (rows of `codes`) nearest to z, nearest first, as { index, distance }. */
export function nearest(codes, z, count = 1, accept = () => true) {
  const d = z.length, found = [];
  for (let i = 0, at = 0; at < codes.length; i++, at += d) {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (codes[at + j] - z[j]) ** 2;
    if (found.length === count && sum >= found[count - 1].distance) continue;
    if (!accept(i)) continue;
    let k = found.length;
    while (k > 0 && found[k - 1].distance > sum) k--;
    found.splice(k, 0, { index: i, distance: sum });
    if (found.length > count) found.pop();
  }
  for (const one of found) one.distance = Math.sqrt(one.distance);
  return found;
}

/** Code i of rows of codes. */
export const row = (codes, i, d) => codes.subarray(i * d, (i + 1) * d);

/** The straight way: (1 − t) a + t b. */
export const linear = (a, b, t) => a.map((v, j) => (1 - t) * v + t * b[j]);

/** Along the arc about the origin, the length changing evenly (Shoemake, 1985; White, 2016). */
export function spherical(a, b, t) {
  const la = length(a), lb = length(b);
  if (!la || !lb) return linear(a, b, t);
  let cosine = 0;
  for (let j = 0; j < a.length; j++) cosine += (a[j] / la) * (b[j] / lb);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (Math.sin(angle) < 1e-6) return linear(a, b, t);
  const p = Math.sin((1 - t) * angle) / Math.sin(angle), q = Math.sin(t * angle) / Math.sin(angle);
  const radius = (1 - t) * la + t * lb;
  return a.map((v, j) => radius * ((p * v) / la + (q * b[j]) / lb));
}

export function length(a) {
  let sum = 0;
  for (const v of a) sum += v * v;
  return Math.sqrt(sum);
}

export const distance = (a, b) => length(a.map((v, j) => v - b[j]));

/** The length of the way through some points, one after another. */
export function arc(points) {
  let sum = 0;
  for (let i = 1; i < points.length; i++) sum += distance(points[i - 1], points[i]);
  return sum;
}

/** A draw from N(0, 1) by Box and Muller (1958). */
export function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

/** A new code from a sampler of content.py: a part by its weight, then mean + root · ε. */
export function draw({ weights, means, roots }) {
  let part = 0, left = Math.random();
  while (part < weights.length - 1 && left > weights[part]) left -= weights[part++];
  const mean = means[part], d = mean.length, noise = mean.map(normal);
  return Float32Array.from(mean, (m, i) => {
    for (let j = 0; j < d; j++) m += roots[part][i * d + j] * noise[j];
    return m;
  });
}

/** z = μ + σ ε; Kingma and Welling (2014), section 2.4. */
export const sample = ({ mean, deviation }) => mean.map((m, j) => m + deviation[j] * normal());
