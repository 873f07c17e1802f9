// Networks in plain JavaScript, from the layer list of aelab.export: one function per kind of layer.
//
// A layer is made for one input shape, [n] or [channels, height, width], and writes into its own
// buffer, so that running a network allocates nothing. Weights have PyTorch's layout.

const size = (shape) => shape.reduce((product, length) => product * length, 1);

/** A network of `inputs` numbers. The array that `run` returns is overwritten by the next run. */
export function makeNetwork(layers, tensors, inputs) {
  let shape = [inputs];
  const steps = layers.map((layer) => {
    if (!(layer.kind in KINDS)) throw new Error(`no layer of kind ${layer.kind}`);
    const step = KINDS[layer.kind](layer, shape, tensors);
    shape = step.shape;
    return step.apply;
  });
  return {
    inputs,
    outputs: size(shape),
    run(x) {
      for (const apply of steps) x = apply(x);
      return x;
    },
  };
}

function elementwise(f) {
  return (_, shape) => {
    const y = new Float32Array(size(shape));
    return { shape, apply(x) { for (let i = 0; i < y.length; i++) y[i] = f(x[i]); return y; } };
  };
}

// Abramowitz and Stegun (1964), 7.1.26: within 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

function linear({ inputs, outputs, weight, bias }, _, tensors) {
  const w = tensors[weight], b = bias ? tensors[bias] : new Float32Array(outputs);
  const y = new Float32Array(outputs), live = new Int32Array(inputs);
  function sparse(x, count) {
    for (let o = 0, row = 0; o < outputs; o++, row += inputs) {
      let sum = b[o];
      for (let k = 0; k < count; k++) sum += w[row + live[k]] * x[live[k]];
      y[o] = sum;
    }
    return y;
  }
  function apply(x) {
    let count = 0;
    for (let i = 0; i < inputs; i++) if (x[i] !== 0) live[count++] = i;
    if (2 * count < inputs) return sparse(x, count); // images are mostly background
    for (let o = 0, at = 0; o < outputs; o++) {
      let s0 = b[o], s1 = 0, s2 = 0, s3 = 0, i = 0;
      for (; i + 3 < inputs; i += 4, at += 4) {
        s0 += w[at] * x[i]; s1 += w[at + 1] * x[i + 1]; s2 += w[at + 2] * x[i + 2]; s3 += w[at + 3] * x[i + 3];
      }
      for (; i < inputs; i++, at++) s0 += w[at] * x[i];
      y[o] = s0 + s1 + s2 + s3;
    }
    return y;
  }
  return { shape: [outputs], apply };
}

// The outer loops are over the kernel, so that the inner loop runs along a row of the image.
function conv({ outputs, kernel, stride, padding, weight, bias }, [inputs, height, width], tensors) {
  const w = tensors[weight], b = bias ? tensors[bias] : new Float32Array(outputs);
  const [kh, kw] = kernel, [sh, sw] = stride, [ph, pw] = padding;
  const h = Math.floor((height + 2 * ph - kh) / sh) + 1, v = Math.floor((width + 2 * pw - kw) / sw) + 1;
  const y = new Float32Array(outputs * h * v);
  function tap(x, o, c, ky, kx) {
    const factor = w[((o * inputs + c) * kh + ky) * kw + kx];
    const [left, right] = inside(kx - pw, sw, v, width), [top, bottom] = inside(ky - ph, sh, h, height);
    for (let i = top; i < bottom; i++) {
      let from = (c * height + i * sh + ky - ph) * width + left * sw + kx - pw;
      const begin = (o * h + i) * v;
      for (let to = begin + left; to < begin + right; to++, from += sw) y[to] += factor * x[from];
    }
  }
  function apply(x) {
    for (let o = 0; o < outputs; o++) y.fill(b[o], o * h * v, (o + 1) * h * v);
    everyTap(outputs, inputs, kh, kw, (o, c, ky, kx) => tap(x, o, c, ky, kx));
    return y;
  }
  return { shape: [outputs, h, v], apply };
}

function convTranspose({ outputs, kernel, stride, padding, weight, bias }, [inputs, height, width], tensors) {
  const w = tensors[weight], b = bias ? tensors[bias] : new Float32Array(outputs);
  const [kh, kw] = kernel, [sh, sw] = stride, [ph, pw] = padding;
  const h = (height - 1) * sh - 2 * ph + kh, v = (width - 1) * sw - 2 * pw + kw;
  const y = new Float32Array(outputs * h * v);
  function tap(x, o, c, ky, kx) {
    const factor = w[((c * outputs + o) * kh + ky) * kw + kx];
    const [left, right] = inside(kx - pw, sw, width, v), [top, bottom] = inside(ky - ph, sh, height, h);
    for (let i = top; i < bottom; i++) {
      let to = (o * h + i * sh + ky - ph) * v + left * sw + kx - pw;
      const begin = (c * height + i) * width;
      for (let from = begin + left; from < begin + right; from++, to += sw) y[to] += factor * x[from];
    }
  }
  function apply(x) {
    for (let o = 0; o < outputs; o++) y.fill(b[o], o * h * v, (o + 1) * h * v);
    everyTap(outputs, inputs, kh, kw, (o, c, ky, kx) => tap(x, o, c, ky, kx));
    return y;
  }
  return { shape: [outputs, h, v], apply };
}

function everyTap(outputs, inputs, height, width, visit) {
  for (let o = 0; o < outputs; o++) for (let c = 0; c < inputs; c++) {
    for (let ky = 0; ky < height; ky++) for (let kx = 0; kx < width; kx++) visit(o, c, ky, kx);
  }
}

/** The range of i in [0, count) for which i · stride + offset lies in [0, length). */
function inside(offset, stride, count, length) {
  const first = Math.max(0, Math.ceil(-offset / stride));
  return [first, Math.max(first, Math.min(count, Math.floor((length - 1 - offset) / stride) + 1))];
}

function maxPool({ kernel, stride, ceil }, [channels, height, width]) {
  const round = ceil ? Math.ceil : Math.floor;
  const h = round((height - kernel) / stride) + 1, v = round((width - kernel) / stride) + 1;
  const y = new Float32Array(channels * h * v);
  function apply(x) {
    let to = 0;
    for (let c = 0; c < channels; c++) for (let i = 0; i < h; i++) for (let j = 0; j < v; j++) {
      const bottom = Math.min(i * stride + kernel, height), right = Math.min(j * stride + kernel, width);
      let most = -Infinity;
      for (let m = i * stride; m < bottom; m++) for (let n = j * stride; n < right; n++) {
        most = Math.max(most, x[(c * height + m) * width + n]);
      }
      y[to++] = most;
    }
    return y;
  }
  return { shape: [channels, h, v], apply };
}

/** Batch normalisation in evaluation mode: a factor and an offset per channel. */
function scale({ weight, bias }, shape, tensors) {
  const w = tensors[weight], b = tensors[bias], area = size(shape) / shape[0];
  const y = new Float32Array(size(shape));
  function apply(x) {
    for (let c = 0, i = 0; c < shape[0]; c++) for (let k = 0; k < area; k++, i++) y[i] = w[c] * x[i] + b[c];
    return y;
  }
  return { shape, apply };
}

function reshape({ shape: wanted }, shape) {
  return { shape: wanted.map((n) => (n === -1 ? size(shape) : n)), apply: (x) => x };
}

const KINDS = {
  linear, conv, "conv-transpose": convTranspose, "max-pool": maxPool, scale, reshape,
  relu: elementwise((v) => (v > 0 ? v : 0)),
  tanh: elementwise(Math.tanh),
  gelu: elementwise((v) => 0.5 * v * (1 + erf(v * Math.SQRT1_2))),
};
