// Precision over recall, hit by hit: what a hit adds to AP is an area, filled once the ranking is read so far.

const AREA = { width: 300, height: 170, left: 36, right: 10, top: 10, bottom: 24 };

// `convention` is "sum", whose areas are bars, or "trapezoid".
function precisionChart(convention, title) {
  const node = drawn("svg", { class: "dml-precision", role: "img", viewBox: `0 0 ${AREA.width} ${AREA.height}` });
  const value = element("span", { class: "dml-number" });
  const caption = element("figcaption", {}, element("span", { class: "dml-title" }, title), value);
  const x = (recall) => AREA.left + recall * (AREA.width - AREA.left - AREA.right);
  const y = (precision) => AREA.top + (1 - precision) * (AREA.height - AREA.top - AREA.bottom);
  const point = (recall, precision) => `${x(recall).toFixed(1)},${y(precision).toFixed(1)}`;
  function area({ recall, precision, before }, n) {
    const from = recall - 1 / n,
      left = convention === "sum" ? precision : before;
    return `M${point(from, 0)}L${point(from, left)}L${point(recall, precision)}L${point(recall, 0)}Z`;
  }
  return {
    node: element("figure", {}, caption, node),
    show(places, upTo) {
      const hits = hitsOf(places),
        soFar = averagePrecision(places, upTo)[convention];
      const areas = hits.map((hit) =>
        drawn("path", { class: hit.place <= upTo ? "dml-area dml-read" : "dml-area", d: area(hit, hits.length) }),
      );
      const dots = hits.map((hit) =>
        drawn("circle", {
          class: hit.place <= upTo ? "dml-dot dml-read" : "dml-dot",
          cx: x(hit.recall),
          cy: y(hit.precision),
          r: 3.5,
        }),
      );
      node.replaceChildren(...frame(x, y), ...areas, ...dots);
      const total = averagePrecision(places)[convention];
      say(value, places.length ? `${soFar.toFixed(3)} of ${total.toFixed(3)}` : "no match");
      put(value, "data-value", soFar);
      put(node, "aria-label", `${title}: ${inHits(hits, convention, upTo)}`);
    },
  };
}

function frame(x, y) {
  const found = [0, 0.5, 1].flatMap((value) => [
    drawn("line", { class: "dml-grid", x1: x(0), x2: x(1), y1: y(value), y2: y(value) }),
    drawn("text", { class: "dml-tick", x: x(0) - 5, y: y(value) + 4, "text-anchor": "end" }, String(value)),
    drawn(
      "text",
      { class: "dml-tick", x: x(value), y: y(0) + 15, "text-anchor": ["start", "middle", "end"][2 * value] },
      String(value),
    ),
  ]);
  const along = drawn("text", { class: "dml-tick", x: x(0.75), y: y(0) + 15, "text-anchor": "middle" }, "recall");
  const up = drawn(
    "text",
    { class: "dml-tick", transform: `translate(${x(0) - 24},${y(0.5)}) rotate(-90)`, "text-anchor": "middle" },
    "precision",
  );
  return [...found, along, up];
}

function inHits(hits, convention, upTo) {
  if (!hits.length) return "this query has no match.";
  const read = hits.filter(({ place }) => place <= upTo);
  const each = read.map((hit) => `place ${hit.place} adds ${hit[convention].toFixed(3)}`);
  return `${each.join(", ") || "no hit yet"}; ${hits.length - read.length} of ${hits.length} matches not reached.`;
}
