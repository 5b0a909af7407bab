// Average precision of one query from the places of its matches, counted from 1, in both conventions.

// What each hit adds, and the precision before and at it. `n` matches; `places` ascending.
// Sum: precision at the hit over n. Trapezoid: the mean of the precision at the hit and at the place before it, over n.
export function hitsOf(places) {
  const n = places.length;
  return Array.from(places, (place, at) => {
    const precision = (at + 1) / place,
      before = place === 1 ? 1 : at / (place - 1);
    return {
      place,
      recall: (at + 1) / n,
      precision,
      before,
      sum: precision / n,
      trapezoid: (precision + before) / 2 / n,
    };
  });
}

// Both average precisions as far as the ranking is read; NaN for a query without a match.
export function averagePrecision(places, upTo = Infinity) {
  if (!places.length) return { sum: NaN, trapezoid: NaN };
  const read = hitsOf(places).filter(({ place }) => place <= upTo);
  const add = (name) => read.reduce((total, hit) => total + hit[name], 0);
  return { sum: add("sum"), trapezoid: add("trapezoid") };
}

// n over the place of the last match: how far one must read to find all.
export function inversePenalty(places) {
  return places.length ? places.length / places.at(-1) : NaN;
}

// Means over the queries that have a match: both APs, the inverse penalty, and how often the first place is a match.
export function meansOf(all) {
  const valid = all.filter((places) => places.length);
  const mean = (measure) => valid.reduce((total, places) => total + measure(places), 0) / valid.length;
  return {
    sum: mean((places) => averagePrecision(places).sum),
    trapezoid: mean((places) => averagePrecision(places).trapezoid),
    inp: mean(inversePenalty),
    rank1: mean((places) => Number(places[0] === 1)),
  };
}
