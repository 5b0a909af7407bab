// The topology editor: peers on a circle with arrows, and the matrix with a box to tick for every pair.

const BOARD = { size: 300, radius: 108, node: 22 };
const STARTS = [
  ["", "own choice"],
  ["independent", "independent"],
  ["mutual", "mutual"],
  ["one-way", "one-way"],
  ["ring", "ring"],
];

function topologyEditor(root, model) {
  const peers = model.get("peers"),
    read = () => decode(model.get("weights"), "f8");
  const write = (weights) => choose(model, { weights: new DataView(weights.buffer) });
  const flip = (k, l) => write(toggled(read(), peers, k, l));
  const start = select("Start from", STARTS, (name) => name && write(setting(name, peers)));
  const graph = graphOf(peers, flip),
    matrix = boxes(peers, flip);
  const name = element("p", { class: "dml-setting", role: "status" });
  const help = "Click an arrow, or tick a box: row k learns from column l. Arrows run from teacher to learner.";
  root.append(
    element("div", { class: "dml-row" }, start.node),
    name,
    element("div", { class: "dml-columns dml-halves" }, graph.node, matrix.node),
    element("p", { class: "dml-note" }, help),
  );
  return () => {
    const weights = read(),
      found = settingOf(weights, peers);
    say(name, found.words);
    put(name, "data-name", found.name);
    start.input.value = SETTINGS[found.name] && same(weights, setting(found.name, peers)) ? found.name : "";
    graph.show(weights, found.words);
    matrix.show(weights);
  };
}

function same(weights, others) {
  return weights.every((weight, place) => Math.abs(weight - others[place]) < NEAR);
}

// Where a peer stands: on a circle, the first on top, or side by side where there are two.
function placeOfPeer(k, peers) {
  const angle = (2 * Math.PI * k) / peers + (peers === 2 ? Math.PI : Math.PI / 2);
  const radius = peers === 1 ? 0 : BOARD.radius,
    middle = BOARD.size / 2;
  return [middle + radius * Math.cos(angle), middle - radius * Math.sin(angle)];
}

// All arrows that there could be: those that are, drawn; the others faint, to be clicked into being.
function graphOf(peers, flip) {
  const tip = fresh("arrow"),
    box = `0 0 ${BOARD.size} ${BOARD.size}`;
  const node = drawn("svg", { class: "dml-graph", role: "img", viewBox: box }, drawn("defs", {}, arrowHead(tip)));
  const edges = [];
  for (let k = 0; k < peers; k++) {
    for (let l = 0; l < peers; l++) {
      if (k === l) continue;
      const d = arrow(placeOfPeer(l, peers), placeOfPeer(k, peers));
      const line = drawn("path", { d, class: "dml-edge" });
      const edge = drawn(
        "g",
        { class: "dml-arrow", onclick: () => flip(k, l) },
        drawn("path", { d, class: "dml-hit" }),
        line,
      );
      edges.push({ k, l, line, edge });
      node.append(edge);
    }
  }
  for (let k = 0; k < peers; k++) {
    const [x, y] = placeOfPeer(k, peers);
    node.append(
      drawn("circle", { class: "dml-node", cx: x, cy: y, r: BOARD.node }),
      drawn("text", { class: "dml-node-name", x, y: y + 5, "text-anchor": "middle" }, String(k)),
    );
  }
  return {
    node,
    show(weights, words) {
      for (const { k, l, line, edge } of edges) {
        const weight = weights[k * peers + l];
        edge.classList.toggle("dml-on", weight > 0);
        put(line, "stroke-width", weight > 0 ? 1.5 + 2 * weight : 1.2);
        put(line, "marker-end", weight > 0 ? `url(#${tip})` : null);
      }
      put(node, "aria-label", `${words} ${inWords(weights, peers)}`);
    },
  };
}

function arrowHead(id) {
  const size = { refX: 8, refY: 4.5, markerWidth: 10, markerHeight: 10, markerUnits: "userSpaceOnUse" };
  const head = drawn("path", { d: "M0,0L9,4.5L0,9z", class: "dml-tip" });
  return drawn("marker", { id, viewBox: "0 0 9 9", orient: "auto", ...size }, head);
}

// A bent line from teacher to learner that ends at their circles; the way back bends to the other side.
function arrow([x1, y1], [x2, y2]) {
  const length = Math.hypot(x2 - x1, y2 - y1),
    [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const bend = 16,
    turn = 0.32,
    near = BOARD.node + 2;
  const off = (sign) => [
    near * (ux * Math.cos(turn) - sign * uy * Math.sin(turn)),
    near * (uy * Math.cos(turn) + sign * ux * Math.sin(turn)),
  ];
  const [ax, ay] = off(1),
    [bx, by] = off(-1);
  const from = [x1 + ax, y1 + ay],
    to = [x2 - bx, y2 - by];
  const middle = [(from[0] + to[0]) / 2 - bend * uy, (from[1] + to[1]) / 2 + bend * ux];
  return `M${from.map(short)}Q${middle.map(short)} ${to.map(short)}`;
}

const short = (value) => value.toFixed(1);

function inWords(weights, peers) {
  return Array.from({ length: peers }, (_, k) => {
    const from = Array.from({ length: peers }, (_, l) => l).filter((l) => weights[k * peers + l] > 0);
    const shares = from.map((l) => `${l} (${weightText(weights[k * peers + l])})`).join(", ");
    return `Peer ${k} learns from ${from.length ? shares : "labels alone"}.`;
  }).join(" ");
}

// The matrix: a box for every pair, the weight beside it, and what the row sums to.
function boxes(peers, flip) {
  const all = Array.from({ length: peers }, (_, k) => k);
  const cells = all.map((k) => all.map((l) => (k === l ? null : box(k, l, flip))));
  const sums = all.map(() => element("td", { class: "dml-sum" }));
  const caption = element("span", {}, "W: row k learns from column l");
  const rows = all.map((k) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, `peer ${k}`),
      ...all.map((l) => cells[k][l]?.node ?? element("td", { class: "dml-self" }, "0")),
      sums[k],
    ),
  );
  const head = [
    element("td"),
    ...all.map((l) => element("th", { scope: "col" }, String(l))),
    element("th", { scope: "col" }, "sum"),
  ];
  const node = table(caption, head, rows);
  node.classList.add("dml-boxes");
  return {
    node,
    show(weights) {
      const totals = rowSums(weights, peers);
      all.forEach((k) => {
        all.forEach((l) => cells[k][l]?.show(weights[k * peers + l]));
        say(sums[k], totals[k] > 0.5 ? "1" : "0, labels alone");
        put(sums[k], "data-value", totals[k]);
      });
    },
  };
}

function box(k, l, flip) {
  const input = element("input", {
    type: "checkbox",
    "aria-label": `peer ${k} learns from peer ${l}`,
    onchange: () => flip(k, l),
  });
  const text = element("span", { class: "dml-number" });
  const node = element("td", {}, element("label", {}, input, text));
  return {
    node,
    show(weight) {
      input.checked = weight > 0;
      say(text, weightText(weight));
      put(node, "data-value", weight);
      node.style.setProperty("--share", `${Math.round(100 * weight)}%`);
    },
  };
}

export default {
  render: (context) => widget(context, "Topology editor", ["weights"], (root) => topologyEditor(root, context.model)),
};
