// Who learns from whom as a matrix W, row after row: the settings of dml_teach.topology, and what a click changes.

const NEAR = 1e-9;

// The settings by name, each for K peers as a function of learner k and teacher l.
export const SETTINGS = {
  independent: () => () => 0,
  mutual: (peers) => (k, l) => (k === l ? 0 : 1 / (peers - 1)),
  "one-way":
    (peers, teacher = 0) =>
    (k, l) =>
      Number(k !== teacher && l === teacher),
  ring: (peers) => (k, l) => Number(peers > 1 && l === (k + peers - 1) % peers),
};

export function setting(name, peers, teacher) {
  const entry = SETTINGS[name](peers, teacher);
  return Float64Array.from({ length: peers * peers }, (_, place) => entry(Math.floor(place / peers), place % peers));
}

export function rowSums(weights, peers) {
  return Array.from({ length: peers }, (_, k) =>
    weights.subarray(k * peers, (k + 1) * peers).reduce((a, b) => a + b, 0),
  );
}

// W after a click on "k learns from l": the arrow goes or comes, the rest of the row keeps its proportions. Where all
// weights are alike, an arrow that comes is like them, and a row sums to exactly what the library's would.
export function toggled(weights, peers, k, l) {
  const changed = Float64Array.from(weights),
    row = changed.subarray(k * peers, (k + 1) * peers);
  const before = row.filter((weight) => weight > 0),
    alike = before.every((weight) => Math.abs(weight - before[0]) < NEAR);
  row[l] = row[l] > 0 ? 0 : before.length ? 1 / before.length : 1;
  const total = row.reduce((a, b) => a + b, 0),
    count = row.filter((weight) => weight > 0).length;
  row.forEach((weight, place) => (row[place] = weight > 0 ? (alike ? 1 / count : weight / total) : 0));
  return changed;
}

// What the course calls a matrix, in words, with a sentence about it.
export function settingOf(weights, peers) {
  const like = (other) => weights.every((weight, place) => Math.abs(weight - other[place]) < NEAR);
  const alone = like(setting("independent", peers));
  if (alone) return { name: "independent", words: "Independent: everybody learns from labels alone." };
  if (like(setting("mutual", peers))) {
    const ring = peers === 2 ? " For two peers this is also the ring." : "";
    return { name: "mutual", words: `Mutual learning: everybody learns from all others alike.${ring}` };
  }
  for (let teacher = 0; teacher < peers; teacher++) {
    if (like(setting("one-way", peers, teacher))) {
      return {
        name: "one-way",
        words: `One-way distillation: peer ${teacher} teaches all others and learns from nobody.`,
      };
    }
  }
  if (like(setting("ring", peers)))
    return { name: "ring", words: "Ring: each learns from the one before, the first from the last." };
  return mixed(weights, peers);
}

// Settings with more than one size: teachers who teach a group, everybody taught by a second self, or none of these.
function mixed(weights, peers) {
  const sums = rowSums(weights, peers);
  const students = sums
    .map((sum, k) => [sum, k])
    .filter(([sum]) => sum > 0.5)
    .map(([, k]) => k);
  const teachers = sums.map((_, k) => k).filter((k) => !students.includes(k));
  const from = (k) => sums.map((_, l) => l).filter((l) => weights[k * peers + l] > 0);
  const share = 1 / teachers.length;
  const taught = students.every((k) => teachers.every((l) => Math.abs(weights[k * peers + l] - share) < NEAR));
  if (teachers.length > 1 && taught) {
    return {
      name: "taught",
      words: `An ensemble as teacher: peers ${teachers.join(", ")} teach ${students.join(", ")}.`,
    };
  }
  const second = students.every((k) => from(k).length === 1 && from(k)[0] === k + peers / 2);
  if (second && students.length === peers / 2 && students.every((k) => k < peers / 2)) {
    return {
      name: "self-taught",
      words: `Self-distillation: each of the first ${peers / 2} learns from its second self.`,
    };
  }
  const chain = from(0).length === 0 && sums.every((_, k) => k === 0 || (from(k).length === 1 && from(k)[0] === k - 1));
  if (chain) return { name: "chain", words: "Chain: each learns from the one before, the first from labels alone." };
  return { name: "", words: "A setting without a name of its own." };
}

// A weight as one reads it: a fraction where it is one, else two decimals.
export function weightText(weight) {
  if (weight === 0 || weight === 1) return String(weight);
  for (let below = 2; below <= 12; below++) {
    const above = Math.round(weight * below);
    if (above > 0 && Math.abs(weight - above / below) < 1e-9) return `${above}/${below}`;
  }
  return weight.toFixed(2);
}
