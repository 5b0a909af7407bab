// The agreement explorer: an epoch, an image, and what the peers of one run or two say.

// Per cent with one decimal, but for the whole, which needs none.
const whole = (share) => (share === 1 ? "100" : percent(share));

const MEASURES = {
  agreement: { words: "agreement", unit: "%", high: 1, format: whole },
  kl: { words: "mean KL", unit: "nats", low: 0, format: (value) => value.toFixed(2) },
  both_wrong: { words: "both wrong", unit: "%", low: 0, format: whole },
};
const MANY = 5; // peers whose columns still fit beside the gallery
const PANELS = [
  { curve: "agreement", title: "Agreement", format: (v, short) => `${(100 * v).toFixed(short ? 0 : 1)} %` },
  { curve: "kl", title: "Mean KL (nats)", format: (v, short) => v.toFixed(short ? 2 : 3) },
  { curve: "entropy", title: "Entropy (nats)", format: (v, short) => v.toFixed(short ? 2 : 3) },
];

// The runs with their numbers, and where in each an epoch is found: the last that is stored up to it.
function cohortsOf(model, about) {
  return about.runs.map((run, n) => {
    const numbers = decode(model.get(n ? "beside" : "posteriors"), about.kind);
    const found = cohort(numbers, run.shape, run.learning, about.labels);
    const placeOf = (epoch) =>
      Math.max(
        0,
        run.epochs.findLastIndex((stored) => stored <= epoch),
      );
    return { ...run, ...found, placeOf };
  });
}

function agreementExplorer(root, model, cleanup) {
  const about = model.get("about"),
    cohorts = cohortsOf(model, about);
  const steps = [...new Set(about.runs.flatMap((run) => run.epochs))].sort((a, b) => a - b);
  const sheetOf = about.pixels ? sheet(model.get("pixels"), about.pixels, about.labels.length) : null;
  const nowOf = (n) => cohorts[n].at(cohorts[n].placeOf(model.get("epoch")));
  const placeOfImage = () => Math.max(0, about.numbers.indexOf(model.get("image")));

  const time = player(
    "Epoch",
    { min: 1, max: steps.length, step: 1 },
    (position) => `${steps[position - 1]} of ${steps.at(-1)}`,
    (position) => choose(model, { epoch: steps[position - 1] }),
    cleanup,
  );
  const curves = curvesOf(cohorts, steps);
  const images = gallery({ about, nowOf, sheetOf, chosen: (place) => choose(model, { image: about.numbers[place] }) });
  const image = detail(about, cohorts, sheetOf, (peer) => choose(model, { peer }));
  const compared = comparison(cohorts, () => draw());
  const many = cohorts.some((run) => run.peers > MANY);
  root.append(
    time.node,
    curves.node,
    element("div", { class: `dml-columns${many ? " dml-many" : ""}` }, images.node, image.node),
    compared.node,
    element("p", { class: "dml-note" }, about.note),
  );

  function draw() {
    const epoch = model.get("epoch"),
      place = placeOfImage(),
      nows = cohorts.map((_, n) => nowOf(n));
    time.show(nearest(steps, epoch) + 1);
    curves.show(epoch);
    images.draw(place);
    image.show(nows, place, epoch, model.get("peer"));
    compared.show(nows, place, model.get("peer"));
  }
  return draw;
}

// The place of the number nearest to a value in an ascending list.
function nearest(steps, value) {
  return argmax(steps.map((step) => -Math.abs(step - value)));
}

// The image that is chosen, and what each run's peers say of it.
function detail(about, cohorts, sheetOf, choosePeer) {
  const large = picture(sheetOf, "dml-large"),
    who = element("p", { class: "dml-who" });
  const tables = cohorts.map((run) => opinionsTable(about, run, choosePeer));
  const head = element("div", { class: "dml-row" }, large.node, who);
  return {
    node: element("div", { class: "dml-detail" }, head, ...tables.map((one) => one.node)),
    show(nows, place, epoch, peer) {
      large.show(place, `${className(about, about.labels[place])} ${about.hashes[place]}`);
      who.replaceChildren(...described(about, cohorts, nows, place));
      const classes = rowsOf(nows, place);
      tables.forEach((one, n) => one.show(nows[n], place, classes, titleOf(cohorts[n], epoch), peer));
    },
  };
}

function titleOf(run, epoch) {
  return `${run.name}, epoch ${run.epochs[run.placeOf(epoch)]}: probabilities (%)`;
}

function described(about, cohorts, nows, place) {
  const dispute = cohorts.map((run, n) => `${disputes(nows[n])[place].toFixed(3)} (${run.name})`).join(" and ");
  return [
    element("strong", {}, `Image ${about.numbers[place]}: ${className(about, about.labels[place])}`),
    element("br"),
    `The peers disagree by ${dispute} nats.`,
  ];
}

// Three small charts, and above them which line is whose.
function curvesOf(cohorts, steps) {
  const panels = PANELS.map(({ curve, title, format }) => {
    const lines = cohorts.map((run, n) => ({
      name: run.name,
      look: n,
      values: run.over(CURVES[curve]).map((value, place) => [run.epochs[place], value]),
    }));
    const seen = lines.flatMap(({ values }) => values.map(([, value]) => value)).filter(Number.isFinite);
    const bounds =
      curve === "agreement"
        ? { low: Math.floor(10 * Math.min(1, ...seen)) / 10 - (Math.min(...seen) >= 1 ? 0.1 : 0), high: 1 }
        : { low: 0, high: roundUp(Math.max(0, ...seen)) };
    return panel({ title, steps, lines, format, ...bounds }, cohorts);
  });
  const keys = element("p", { class: "dml-row dml-keys" }, ...cohorts.map((run, n) => key(run.name, n)));
  return {
    node: element("div", {}, keys, element("div", { class: "dml-panels" }, ...panels.map((one) => one.node))),
    show: (epoch) => panels.forEach((one) => one.show(epoch)),
  };
}

function panel(settings, cohorts) {
  const chart = lineChart(settings),
    values = cohorts.map(() => element("span", { class: "dml-number" }));
  const caption = element("figcaption", {}, element("span", { class: "dml-title" }, settings.title), ...values);
  return {
    node: element("figure", {}, caption, chart.node),
    show(epoch) {
      const now = settings.lines.map((line, n) => {
        const [step, value] = line.values[cohorts[n].placeOf(epoch)];
        say(values[n], Number.isNaN(value) ? "–" : settings.format(value));
        put(values[n], "data-value", value);
        put(values[n], "title", line.name);
        return { step, value };
      });
      chart.show(now);
    },
  };
}

// The peers compared with each other, on all images by a measure of choice, and on the one that is shown.
function comparison(cohorts, changed) {
  let measure = "agreement";
  const options = Object.entries(MEASURES).map(([name, { words }]) => [name, words]);
  const choice = select(
    `Peers compared on all ${plural(cohorts[0].images, "image")} by`,
    options,
    (value) => ((measure = value), changed()),
  );
  const all = cohorts.map(peerMatrix),
    one = cohorts.map(peerMatrix);
  const scales = {};
  const scaleOf = (name) => {
    // One scale for all epochs and runs, so that a shade means the same wherever the slider stands.
    const all = () => cohorts.flatMap((run) => run.over((now) => matrix(now, name).flat())).flat();
    scales[name] ??= { low: Math.min(...all()), high: Math.max(...all()) || 1, ...MEASURES[name] };
    return scales[name];
  };
  return {
    node: element(
      "div",
      { class: "dml-compared" },
      choice.node,
      element("div", { class: "dml-matrices" }, ...cohorts.flatMap((_, n) => [all[n].node, one[n].node])),
    ),
    show(nows, place, peer) {
      nows.forEach((now, n) => {
        const { words, unit } = MEASURES[measure];
        all[n].show(matrix(now, measure), `${cohorts[n].name}: ${words} (${unit})`, scaleOf(measure), peer);
        const kl = klOfImage(now, place);
        one[n].show(
          kl,
          `${cohorts[n].name}: KL of this image (nats)`,
          { ...MEASURES.kl, high: Math.max(1, ...kl.flat()) },
          peer,
        );
      });
    },
  };
}

export default {
  render: (context) =>
    widget(context, "Agreement explorer", ["epoch", "image", "peer"], (root, cleanup) =>
      agreementExplorer(root, context.model, cleanup),
    ),
};
