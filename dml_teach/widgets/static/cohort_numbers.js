// What a cohort's posteriors say after each epoch: as dml_teach.metrics and dml_teach.analysis.agreement define it.

// A cohort from its posteriors (E, K, N, C), in one row as they are stored. `learning` are the peers that averages run
// over; `labels` are N, -1 where unknown. What is computed of an epoch is kept.
export function cohort(posteriors, [epochs, peers, images, classes], learning, labels) {
  const known = new Map();
  const size = peers * images * classes;
  const at = (epoch) => {
    if (!known.has(epoch)) {
      const part = posteriors.subarray(epoch * size, (epoch + 1) * size);
      known.set(epoch, opinions(part, peers, images, classes, learning, labels));
    }
    return known.get(epoch);
  };
  const over = (measure) => Array.from({ length: epochs }, (_, epoch) => measure(at(epoch)));
  return { count: epochs, peers, images, classes, learning, labels, at, over };
}

// All opinions of one epoch: logP of (k, i) as a row of C, the class that each peer names, its entropy.
function opinions(posteriors, peers, images, classes, learning, labels) {
  const rows = [],
    named = [],
    entropy = [];
  for (let row = 0; row < peers * images; row++) {
    const stored = posteriors.subarray(row * classes, (row + 1) * classes);
    rows.push(logPosterior(logitsOf(stored)));
    named.push(argmax(stored));
    entropy.push(entropyOf(rows[row]));
  }
  const of = (values) => (k, i) => values[k * images + i];
  const found = { peers, images, classes, learning, labels, logP: of(rows), named: of(named), entropy: of(entropy) };
  return Object.assign(found, { kept: new Map() });
}

// What is asked of an epoch again and again is computed once.
export function once(now, name, compute) {
  if (!now.kept.has(name)) now.kept.set(name, compute(now));
  return now.kept.get(name);
}

export function matrix(now, measure) {
  return once(now, measure, MATRICES[measure]);
}

// The disagreement on every image.
export function disputes(now) {
  return once(now, "disputes", () => Float64Array.from({ length: now.images }, (_, i) => disagreement(now, i)));
}

// The learning peers' averaged posterior on an image, C probabilities.
export function ensemble(now, i) {
  const mean = new Float64Array(now.classes);
  for (const k of now.learning)
    now.logP(k, i).forEach((value, c) => (mean[c] += Math.exp(value) / now.learning.length));
  return mean;
}

// How far the learning peers lie apart on an image: their Jensen-Shannon divergence.
export function disagreement(now, i) {
  const own = now.learning.reduce((sum, k) => sum + now.entropy(k, i), 0) / now.learning.length;
  return Math.max(0, entropyOf(ensemble(now, i).map(Math.log)) - own);
}

// Whether the ensemble names an image rightly; null where the label is not known.
export function ensembleRight(now, i) {
  return now.labels[i] < 0 ? null : argmax(ensemble(now, i)) === now.labels[i];
}

// How many of the learning peers name an image rightly.
export function peersRight(now, i) {
  return now.learning.filter((k) => now.named(k, i) === now.labels[i]).length;
}

// D_KL(p_l || p_k) of one image, row k, column l.
export function klOfImage(now, i) {
  return square(now.peers, (k, l) => (k === l ? 0 : Math.max(0, divergence(now.logP(l, i), now.logP(k, i)))));
}

// The matrices (K, K) over all images, by the name of the measure; row k learns, column l is what it is compared with.
export const MATRICES = {
  agreement: (now) => mean(now, (k, l, i) => now.named(k, i) === now.named(l, i)),
  kl: (now) =>
    square(now.peers, (k, l) => {
      if (k === l) return 0;
      let sum = 0;
      for (let i = 0; i < now.images; i++) sum += divergence(now.logP(l, i), now.logP(k, i));
      return Math.max(0, sum / now.images);
    }),
  both_wrong: (now) => mean(now, (k, l, i) => now.named(k, i) !== now.labels[i] && now.named(l, i) !== now.labels[i]),
};

function mean(now, holds) {
  return square(now.peers, (k, l) => {
    let count = 0;
    for (let i = 0; i < now.images; i++) count += holds(k, l, i);
    return count / now.images;
  });
}

function square(size, entry) {
  return Array.from({ length: size }, (_, k) => Array.from({ length: size }, (_, l) => entry(k, l)));
}

// Mean over the pairs of different learning peers; NaN for a single one, which has nobody to differ from.
export function meanOfPairs(matrix, learning) {
  let sum = 0;
  for (const k of learning) for (const l of learning) if (k !== l) sum += matrix[k][l];
  return sum / (learning.length * (learning.length - 1));
}

// The curves, by name: a number for an epoch.
export const CURVES = {
  agreement: (now) => meanOfPairs(matrix(now, "agreement"), now.learning),
  kl: (now) => meanOfPairs(matrix(now, "kl"), now.learning),
  entropy: (now) => {
    let sum = 0;
    for (const k of now.learning) for (let i = 0; i < now.images; i++) sum += now.entropy(k, i);
    return sum / (now.learning.length * now.images);
  },
};

// The order of a gallery: the most disputed first, by class, or those that fewest peers get right first; ties by dispute.
export function galleryOrder(now, by) {
  const calm = (i) => -disputes(now)[i];
  const keys = {
    disagreement: [calm],
    class: [(i) => now.labels[i], calm],
    right: [(i) => peersRight(now, i), calm],
  };
  return sorted(now.images, ...keys[by]);
}
