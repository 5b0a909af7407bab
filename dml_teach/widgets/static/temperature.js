// The temperature explorer: logits, posteriors and their pull as the temperature moves.

const CLASSES_SHOWN = 12;
const STEPS = 64; // of the slider; equal steps are equal factors, eight double the temperature

// What two opinions (logits of C classes; the second may be missing) come to at a temperature.
export function atTemperature(logits, reference, temperature) {
  const logP = logPosterior(logits, temperature);
  const found = { p: logP.map(Math.exp), entropy: entropyOf(logP) };
  if (!reference) return found;
  const logQ = logPosterior(reference, temperature),
    gradient = pull(logP, logQ);
  return {
    ...found,
    q: logQ.map(Math.exp),
    gradient,
    referenceEntropy: entropyOf(logQ),
    forward: divergence(logQ, logP),
    backward: divergence(logP, logQ),
    length: Math.hypot(...gradient),
  };
}

// The temperature at a place of the slider: the coldest and the hottest are its ends, 1 is its middle.
export function temperatureAt(place, [coldest, hottest]) {
  return Number((coldest * (hottest / coldest) ** (place / STEPS)).toPrecision(3));
}

function placeOf(temperature, [coldest, hottest]) {
  return Math.round((STEPS * Math.log(temperature / coldest)) / Math.log(hottest / coldest));
}

function temperatureExplorer(root, model) {
  const about = model.get("about"),
    logits = decode(model.get("logits"), "f8"),
    two = about.names.length > 1;
  const reference = two ? decode(model.get("reference_logits"), "f8") : null;
  const moved = (place) => choose(model, { temperature: temperatureAt(place, about.range) });
  const heat = slider("Temperature T", { min: 0, max: STEPS }, () => model.get("temperature").toPrecision(3), moved);
  const one = element("button", { type: "button", onclick: () => choose(model, { temperature: 1 }) }, "T = 1");
  heat.node.append(one);
  const bars = temperatureTable(about, logits, reference);
  const facts = factsOf(about.names, two),
    curves = overTemperatures(about, logits, reference);
  root.append(
    heat.node,
    element("div", { class: "dml-heat" }, bars.node, element("div", {}, facts.node, ...curves.map((c) => c.node))),
  );
  return () => {
    const temperature = model.get("temperature"),
      now = atTemperature(logits, reference, temperature);
    heat.show(placeOf(temperature, about.range));
    bars.show(now, temperature);
    facts.show(now);
    curves.forEach((curve) => curve.show(temperature, now));
  };
}

// A row for each class: the logits, the posteriors, and the pull.
function temperatureTable(about, logits, reference) {
  const two = reference !== null,
    [p, q] = about.names;
  const at1 = atTemperature(logits, reference, 1),
    best = (c) => -Math.max(at1.p[c], two ? at1.q[c] : 0);
  const order = sorted(logits.length, best).slice(0, CLASSES_SHOWN);
  const heads = two ? [`logit of ${p}`, `logit of ${q}`, `${p} (%)`, `${q} (%)`, `${p} − ${q}`] : ["logit", `${p} (%)`];
  const places = Array.from({ length: STEPS + 1 }, (_, place) =>
    atTemperature(logits, reference, temperatureAt(place, about.range)),
  );
  const hardest = Math.max(...places.flatMap(({ gradient }) => Array.from(gradient ?? [], Math.abs))) || 1;
  const highest = Math.max(...[...logits, ...(reference ?? [])].map(Math.abs)) || 1;
  const kinds = two ? [[0, true], [1, true], [0], [1], ["-pull", true]] : [[0, true], [0]];
  const rows = order.map(() => kinds.map(([colour, isSigned]) => barCell(colour, isSigned)));
  const others = order.length < logits.length ? ` The likeliest ${order.length} of ${logits.length} classes.` : "";
  const caption = element("span");
  const node = table(
    caption,
    [element("th", { scope: "col" }, "class"), ...heads.map((words) => element("th", { scope: "col" }, words))],
    rows.map((cells, n) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, about.class_names[order[n]]),
        ...cells.map((cell) => cell.node),
      ),
    ),
  );
  node.classList.add("dml-opinions");
  return {
    node,
    show(now, temperature) {
      say(caption, `Softened by T = ${temperature.toPrecision(3)}.${others}`);
      order.forEach((c, n) => {
        const raw = [logits, reference].filter(Boolean).map((z) => [z[c], z[c] / highest, signed(z[c], 1)]);
        const soft = [now.p, now.q].filter(Boolean).map((values) => [values[c], values[c], percent(values[c])]);
        const drawn = [
          ...raw,
          ...soft,
          ...(two ? [[now.gradient[c], now.gradient[c] / hardest, signed(now.gradient[c])]] : []),
        ];
        drawn.forEach((values, cell) => rows[n][cell].show(...values));
      });
    },
  };
}

// The numbers that belong to both posteriors as wholes.
function factsOf([p, q], two) {
  const all = [
    ["entropy", `Entropy of ${p}`],
    ["referenceEntropy", `Entropy of ${q}`],
    ["forward", `KL(${q} ‖ ${p})`],
    ["backward", `KL(${p} ‖ ${q})`],
    ["length", `Length of ${p} − ${q}`],
  ].slice(0, two ? 5 : 1);
  const values = all.map(([name]) => element("dd", { "data-name": name }));
  const node = element("dl", { class: "dml-facts" });
  all.forEach(([, words], n) => node.append(element("div", {}, element("dt", {}, words), values[n])));
  return {
    node,
    show: (now) =>
      all.forEach(([name], n) => {
        say(values[n], `${now[name].toFixed(3)}${name === "length" ? "" : " nats"}`);
        put(values[n], "data-value", now[name]);
      }),
  };
}

// Entropies and divergences over all temperatures of the slider.
function overTemperatures(about, logits, reference) {
  const [p, q] = about.names;
  const steps = Array.from({ length: STEPS + 1 }, (_, place) => temperatureAt(place, about.range));
  const all = steps.map((step) => atTemperature(logits, reference, step));
  const charts = [
    {
      title: "Entropy (nats)",
      lines: [
        ["entropy", p],
        ["referenceEntropy", q],
      ].slice(0, about.names.length),
    },
  ];
  if (reference)
    charts.push({
      title: "KL (nats)",
      lines: [
        ["forward", `${q} ‖ ${p}`],
        ["backward", `${p} ‖ ${q}`],
      ],
    });
  return charts.map(({ title, lines }) => {
    const drawn = lines.map(([name, words], look) => ({
      name: words,
      look,
      values: all.map((now, n) => [steps[n], now[name]]),
    }));
    const high = roundUp(Math.max(...drawn.flatMap(({ values }) => values.map(([, value]) => value))));
    const chart = lineChart({
      title: `${title} against the temperature`,
      steps,
      lines: drawn,
      low: 0,
      high,
      log: true,
      format: (value) => value.toFixed(2),
    });
    const caption = element(
      "figcaption",
      {},
      element("span", { class: "dml-title" }, title),
      ...drawn.map(({ name, look }) => key(name, look)),
    );
    const show = (temperature, now) => chart.show(lines.map(([name]) => ({ step: temperature, value: now[name] })));
    return { node: element("figure", {}, caption, chart.node), show };
  });
}

export default {
  render: (context) =>
    widget(context, "Temperature explorer", ["temperature"], (root) => temperatureExplorer(root, context.model)),
};
