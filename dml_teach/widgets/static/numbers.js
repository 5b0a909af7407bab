// Arithmetic of posteriors: the same definitions as dml_teach.losses and dml_teach.metrics. Values are in nats.

// The smallest normal number of fp32. A stored 0 counts as this, as in dml_teach.analysis.posteriors.logits_of.
export const TINY = 2 ** -126;

// Numbers from the bytes of a trait: a DataView, little-endian; kind "f8", "f4", "f2", "i4" or "u1".
export function decode(view, kind) {
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  if (kind === "f2") return Float32Array.from(new Uint16Array(bytes), half);
  const types = { f8: Float64Array, f4: Float32Array, i4: Int32Array, u1: Uint8Array };
  return new types[kind](bytes);
}

// The value of the 16 bits of a half-precision number.
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1,
    exponent = (bits >> 10) & 31,
    fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

// Log of softmax(logits / temperature).
export function logPosterior(logits, temperature = 1) {
  const scaled = Float64Array.from(logits, (z) => z / temperature);
  const top = scaled.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = top + Math.log(scaled.reduce((sum, z) => sum + Math.exp(z - top), 0));
  return scaled.map((z) => z - logSum);
}

// Logits that have these posteriors: their logarithms.
export function logitsOf(posterior) {
  return Float64Array.from(posterior, (p) => Math.log(Math.max(p, TINY)));
}

// Entropy of a posterior, given its logarithm.
export function entropyOf(logP) {
  return -logP.reduce((sum, value) => sum + Math.exp(value) * value, 0);
}

// D_KL(reference || own), given both logarithms: the reference does the weighing.
export function divergence(reference, own) {
  return reference.reduce((sum, value, c) => sum + Math.exp(value) * (value - own[c]), 0);
}

// The gradient of D_KL(q || p) for the logits of p at temperature 1: p - q.
export function pull(logP, logQ) {
  return Float64Array.from(logP, (value, c) => Math.exp(value) - Math.exp(logQ[c]));
}

// Place of the largest number, the first of equals.
export function argmax(values) {
  let best = 0;
  for (let place = 1; place < values.length; place++) if (values[place] > values[best]) best = place;
  return best;
}

// Places in the order of one or several keys (functions of the place), each ascending; equals stay in their order.
export function sorted(count, ...keys) {
  const measured = keys.map((key) => Array.from({ length: count }, (_, place) => key(place)));
  const compare = (a, b) => measured.reduce((found, values) => found || values[a] - values[b], 0);
  return Array.from({ length: count }, (_, place) => place).sort((a, b) => compare(a, b) || a - b);
}
