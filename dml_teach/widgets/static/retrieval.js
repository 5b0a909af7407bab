// The retrieval explorer: a query, its ranking read place by place, and what every hit is worth.

const KINDS = [
  { name: "wrong", sign: "✗", words: "wrong", look: "dml-wrong" },
  { name: "match", sign: "✓", words: "match", look: "dml-right" },
  { name: "junk", sign: "–", words: "junk, left out", look: "dml-out" },
  { name: "same-camera", sign: "–", words: "same camera, left out", look: "dml-out" },
];

// The stored rankings: what stands where for a query, and the places of every query's matches.
function rankingsOf(model, about) {
  const [top, near, kinds, hits] = [
    ["top", "i4"],
    ["nearness", "f4"],
    ["kinds", "u1"],
    ["hits", "i4"],
  ].map(([name, kind]) => decode(model.get(name), kind));
  const size = about.queries.length * about.places;
  let from = 0;
  return about.rankings.map((name, r) => {
    const places = about.counts.map((count) => hits.subarray(from, (from += count)));
    const row = (values, q) => values.subarray(r * size + q * about.places, r * size + (q + 1) * about.places);
    return { name, places, top: (q) => row(top, q), near: (q) => row(near, q), kinds: (q) => row(kinds, q) };
  });
}

function retrievalExplorer(root, model, cleanup) {
  const about = model.get("about"),
    rankings = rankingsOf(model, about),
    many = about.queries.length;
  const sheetOf = about.pixels ? sheet(model.get("pixels"), about.pixels, many + about.gallery.names.length) : null;
  const options = about.queries.map((query, q) => [query, `${query}: ${about.query.names[q]}`]);
  const which = select("Query", options, (value) => choose(model, { query: Number(value) }));
  const reading = player(
    "Read to place",
    { min: 1, max: about.places, step: 1, pace: 700 },
    (place) => `${place} of ${about.places}`,
    (place) => choose(model, { place }),
    cleanup,
  );
  const asked = picture(sheetOf, "dml-query"),
    who = element("p", { class: "dml-who" });
  const scores = scoreTable(rankings, (name) => choose(model, { ranking: name }));
  const list = rankingList(about, sheetOf),
    charts = [
      ["sum", "AP, sum"],
      ["trapezoid", "AP, trapezoids"],
    ];
  const drawnCharts = charts.map(([convention, title]) => precisionChart(convention, title));
  root.append(
    element("div", { class: "dml-row dml-asked" }, asked.node, element("div", {}, which.node, who)),
    scores.node,
    reading.node,
    list.node,
    element("div", { class: "dml-panels dml-pair" }, ...drawnCharts.map((chart) => chart.node)),
    element("p", { class: "dml-note" }, about.note),
  );
  return () => {
    const query = model.get("query"),
      q = Math.max(0, about.queries.indexOf(query));
    const ranking = rankings.find(({ name }) => name === model.get("ranking")) ?? rankings[0];
    const upTo = model.get("place"),
      places = ranking.places[about.queries[q]];
    which.input.value = about.queries[q];
    asked.show(q, about.query.names[q]);
    who.replaceChildren(...asksFor(about, q, places));
    scores.show(about.queries[q], ranking.name);
    reading.show(upTo);
    list.show(ranking, q, upTo);
    drawnCharts.forEach((chart) => chart.show(places, list.counted(ranking, q, upTo)));
  };
}

function asksFor(about, q, places) {
  const matches = `${places.length === 1 ? "1 match" : `${places.length} matches`} in the gallery`;
  return [
    element("strong", {}, `Who is this? Identity ${about.query.identities[q]}, camera ${about.query.cameras[q]}`),
    element("br"),
    `${matches}, seen by other cameras.`,
  ];
}

// A row for each ranking, to be chosen from: what it is worth for this query, and for all.
function scoreTable(rankings, chosen) {
  const group = fresh("ranking"),
    caption = element("span");
  const radios = rankings.map(({ name }) =>
    element("input", { type: "radio", name: group, value: name, onchange: () => chosen(name) }),
  );
  const cells = rankings.map(() => Array.from({ length: 6 }, () => element("td")));
  const heads = ["ranking", "AP, sum", "AP, trapezoids", "INP", "mAP, sum", "mAP, trapezoids", "rank-1"];
  const means = rankings.map(({ places }) => meansOf(places));
  const rows = rankings.map(({ name }, r) =>
    element("tr", {}, element("th", { scope: "row" }, element("label", {}, radios[r], ` ${name}`)), ...cells[r]),
  );
  const node = table(
    caption,
    heads.map((words) => element("th", { scope: "col" }, words)),
    rows,
  );
  node.classList.add("dml-scores");
  return {
    node,
    show(query, shown) {
      say(caption, `Query ${query}, and the mean of all queries (%)`);
      rankings.forEach(({ name, places }, r) => {
        const own = averagePrecision(places[query]),
          mean = means[r];
        const values = [own.sum, own.trapezoid, inversePenalty(places[query]), mean.sum, mean.trapezoid, mean.rank1];
        radios[r].checked = name === shown;
        rows[r].classList.toggle("dml-focus", name === shown);
        values.forEach((value, n) => {
          say(cells[r][n], Number.isNaN(value) ? "–" : percent(value));
          put(cells[r][n], "data-value", value);
        });
      });
    },
  };
}

// The ranking itself, the nearest first. Images that are left out have no place.
function rankingList(about, sheetOf) {
  const node = element("ol", { class: "dml-ranking", "aria-label": "The ranking, the nearest first" });
  const items = Array.from({ length: about.places }, () => rankingItem(about, sheetOf));
  node.append(...items.map((item) => item.node));
  const placesIn = (kinds) => {
    let place = 0;
    return Array.from(kinds, (kind) => (kind < 2 ? ++place : null));
  };
  return {
    node,
    // The place, of those that count, at which reading has arrived.
    counted: (ranking, q, upTo) => placesIn(ranking.kinds(q)).slice(0, upTo).filter(Boolean).length,
    show(ranking, q, upTo) {
      const [top, near, kinds] = [ranking.top(q), ranking.near(q), ranking.kinds(q)],
        places = placesIn(kinds);
      items.forEach((item, n) => item.show(top[n], near[n], KINDS[kinds[n]], places[n], n < upTo));
    },
  };
}

function rankingItem(about, sheetOf) {
  const image = picture(sheetOf, "dml-found"),
    sign = element("span", { class: "dml-sign" }),
    words = element("span");
  const what = element("span", { class: "dml-kind" }, sign, " ", words),
    [who, near] = [element("span"), element("span")];
  const node = element("li", {}, image.node, what, element("span", { class: "dml-details" }, who, near));
  return {
    node,
    show(at, distance, kind, place, read) {
      const { identities, cameras, names } = about.gallery;
      image.show(about.queries.length + at, names[at]);
      put(node, "class", `${kind.look} dml-is-${kind.name}${read ? "" : " dml-unread"}`);
      say(sign, kind.sign);
      say(words, place === null ? kind.words : `${place}: ${kind.words}`);
      say(who, `id ${identities[at]}, cam ${cameras[at]}`);
      say(near, `at ${Number.isFinite(distance) ? distance.toFixed(3) : "∞"}`);
      put(node, "title", names[at]);
    },
  };
}

export default {
  render: (context) =>
    widget(context, "Retrieval explorer", ["query", "ranking", "place"], (root, cleanup) =>
      retrievalExplorer(root, context.model, cleanup),
    ),
};
