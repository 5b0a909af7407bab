// What the peers of one run say about one image, and how they compare on it and on all images.

const ROWS = 5;

// The classes worth a row: the likeliest of the ensembles' average, the true one always among them.
function rowsOf(nows, i) {
  const means = nows.map((now) => ensemble(now, i)),
    label = nows[0].labels[i];
  const total = means[0].map((_, c) => means.reduce((sum, mean) => sum + mean[c], 0));
  const order = sorted(total.length, (c) => -total[c]),
    rows = order.slice(0, ROWS);
  if (label >= 0 && !rows.includes(label)) rows[rows.length - 1] = label;
  return rows;
}

// A column for each peer and one for the mean of those that learn; a row for each class, below what it comes to.
function opinionsTable(about, run, choosePeer) {
  const peers = Array.from({ length: run.peers }, (_, k) => k),
    group = fresh("peer");
  const radios = peers.map((k) =>
    element("input", { type: "radio", name: group, value: k, onchange: () => choosePeer(k) }),
  );
  const heads = peers.map((k) =>
    element("th", { scope: "col" }, element("label", {}, radios[k], element("span", {}, peerName(run, k)), swatch(k))),
  );
  const rows = Array.from({ length: Math.min(ROWS, run.classes) }, () => opinionRow(run.peers));
  const others = run.classes > ROWS ? opinionRow(run.peers) : null;
  const says = footRow("says", run.peers),
    doubt = footRow("entropy", run.peers);
  const caption = element("span");
  const node = table(
    caption,
    [element("td"), ...heads, element("th", { scope: "col" }, "mean")],
    [...rows, ...(others ? [others] : [])].map((row) => row.node),
    [says.node, doubt.node],
  );
  node.classList.add("dml-opinions");
  const columns = [...peers, -1]; // the last is the mean of those that learn
  return {
    node,
    show(now, i, classes, title, inFocus) {
      say(caption, title);
      const logs = columns.map((k) => (k < 0 ? ensemble(now, i).map(Math.log) : now.logP(k, i)));
      rows.forEach((row, n) =>
        row.show(
          className(about, classes[n]),
          logs.map((log) => Math.exp(log[classes[n]])),
          classes[n] === now.labels[i],
        ),
      );
      others?.show(
        "all others",
        logs.map((log) => 1 - classes.reduce((sum, c) => sum + Math.exp(log[c]), 0)),
        false,
      );
      says.show(logs.map((log) => answer(about, argmax(log), now.labels[i])));
      doubt.show(logs.map((log) => ({ text: nats(entropyOf(log)), look: "", value: entropyOf(log) })));
      radios.forEach((radio, k) => (radio.checked = k === inFocus));
      for (const row of node.querySelectorAll("tr")) {
        [...row.cells].forEach((cell, n) => cell.classList.toggle("dml-focus", n === inFocus + 1));
      }
    },
  };
}

function peerName(run, k) {
  return run.learning.includes(k) ? `peer ${k}` : `peer ${k} (frozen)`;
}

function swatch(k) {
  return element("span", { class: `dml-swatch dml-c${k % 7}`, "aria-hidden": "true" });
}

function answer(about, named, label) {
  const { sign, words, look } = verdict(label < 0 ? null : named === label);
  return { text: `${className(about, named)} ${sign}`, look, value: named, words };
}

function opinionRow(peers) {
  const head = element("th", { scope: "row" }),
    name = element("span"),
    truth = element("span", { class: "dml-truth" });
  head.append(name, truth);
  const cells = Array.from({ length: peers + 1 }, (_, k) => barCell(k === peers ? "-mean" : k % 7));
  const node = element("tr", {}, head, ...cells.map((cell) => cell.node));
  return {
    node,
    show(text, shares, isTrue) {
      say(name, text);
      say(truth, isTrue ? "✓ true class" : "");
      node.classList.toggle("dml-true", isTrue);
      cells.forEach((cell, n) => cell.show(shares[n], shares[n], percent(Math.max(0, shares[n]))));
    },
  };
}

function footRow(name, peers) {
  const cells = Array.from({ length: peers + 1 }, () => element("td"));
  return {
    node: element("tr", {}, element("th", { scope: "row" }, name), ...cells),
    show(found) {
      cells.forEach((cell, n) => {
        say(cell, found[n].text);
        put(cell, "class", found[n].look);
        put(cell, "data-value", found[n].value);
        put(cell, "title", found[n].words ?? null);
      });
    },
  };
}

// A square table of the peers compared with each other; the darker, the more.
function peerMatrix(run) {
  const peers = Array.from({ length: run.peers }, (_, k) => k),
    caption = element("span");
  const head = (scope) => (k) => element("th", { scope }, element("span", { class: "dml-hidden" }, "peer "), String(k));
  const cells = peers.map(() => peers.map(() => element("td")));
  const rows = peers.map((k) => element("tr", {}, head("row")(k), ...cells[k]));
  const node = table(caption, [element("td", { class: "dml-corner" }, "peer"), ...peers.map(head("col"))], rows);
  node.classList.add("dml-matrix");
  return {
    node,
    show(matrix, title, { low, high, format }, inFocus) {
      say(caption, title);
      peers.forEach((k) => {
        rows[k].classList.toggle("dml-focus", k === inFocus);
        peers.forEach((l) => {
          const share = Math.min(1, Math.max(0, (matrix[k][l] - low) / (high - low || 1)));
          say(cells[k][l], format(matrix[k][l]));
          put(cells[k][l], "data-value", matrix[k][l]);
          cells[k][l].style.setProperty("--share", `${Math.round(100 * share)}%`);
        });
      });
    },
  };
}
