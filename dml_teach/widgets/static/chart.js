// Lines over steps, with a mark on each at the step that is shown. The lines are drawn once, the marks move.

const CHART = { height: 118, left: 40, right: 8, top: 8, bottom: 20 };

// `lines` are [{ name, values: [[step, value], ...], look: 0, 1 or 2 }]; `steps` are the numbers below the axis.
function lineChart({ title, steps, lines, format, low, high, log = false }) {
  const node = drawn("svg", { class: "dml-chart", role: "img", height: CHART.height });
  const still = drawn("g"),
    moving = drawn("g");
  node.append(still, moving);
  const marks = lines.map(({ look }) => mark(look));
  const rule = drawn("line", { class: "dml-rule", y1: CHART.top, y2: CHART.height - CHART.bottom });
  moving.append(rule, ...marks);
  const along = (step) => (log ? Math.log(step) : step);
  let width = 0,
    shown = [];
  const x = (step) => {
    const [first, last] = [along(steps[0]), along(steps.at(-1))];
    const share = last > first ? (along(step) - first) / (last - first) : 0.5;
    return CHART.left + share * (width - CHART.left - CHART.right);
  };
  const y = (value) => {
    const share = (Math.min(high, Math.max(low, value)) - low) / (high - low || 1);
    return CHART.height - CHART.bottom - share * (CHART.height - CHART.top - CHART.bottom);
  };
  function place() {
    put(rule, "x1", x(shown[0].step));
    put(rule, "x2", x(shown[0].step));
    shown.forEach(({ step, value }, n) => {
      put(marks[n], "transform", `translate(${x(step).toFixed(1)},${y(value).toFixed(1)})`);
      put(marks[n], "visibility", Number.isFinite(value) ? "visible" : "hidden");
    });
  }
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width < 1 || Math.abs(contentRect.width - width) < 0.5) return;
    width = contentRect.width;
    still.replaceChildren(
      ...axes({ steps, low, high, x, y, width, format, log }),
      ...lines.map((line) => path(line, x, y)),
    );
    if (shown.length) place();
  }).observe(node);
  return {
    node,
    // `now` is [{ step, value }], one for a line.
    show(now) {
      shown = now;
      put(node, "aria-label", `${title}: ${lines.map((line, n) => inShort(line, now[n].value, format)).join("; ")}.`);
      if (width) place();
    },
  };
}

// A line in words: where it begins, where it ends, and where it is.
function inShort({ name, values }, value, format) {
  const text = (number) => (Number.isFinite(number) ? format(number) : "no value");
  return `${name} from ${text(values[0][1])} to ${text(values.at(-1)[1])}, here ${text(value)}`;
}

function axes({ steps, low, high, x, y, width, format, log }) {
  const bottom = CHART.height - CHART.bottom,
    [first, last] = [steps[0], steps.at(-1)];
  const middle = log ? Math.sqrt(first * last) : steps[Math.floor((steps.length - 1) / 2)];
  const found = [];
  for (const value of [low, (low + high) / 2, high]) {
    found.push(
      drawn("line", { class: "dml-grid", x1: CHART.left, x2: width - CHART.right, y1: y(value), y2: y(value) }),
    );
    found.push(
      drawn(
        "text",
        { class: "dml-tick", x: CHART.left - 5, y: y(value) + 4, "text-anchor": "end" },
        format(value, true),
      ),
    );
  }
  for (const [step, anchor] of [
    [first, "start"],
    [middle, "middle"],
    [last, "end"],
  ]) {
    const text = log ? Number(step.toPrecision(2)) : step;
    found.push(drawn("text", { class: "dml-tick", x: x(step), y: bottom + 15, "text-anchor": anchor }, String(text)));
  }
  return found;
}

function path({ values, look }, x, y) {
  const seen = values.filter(([, value]) => Number.isFinite(value));
  const d = seen.map(([step, value], n) => `${n ? "L" : "M"}${x(step).toFixed(1)},${y(value).toFixed(1)}`).join("");
  return drawn("path", { class: `dml-line dml-look${look}`, d });
}

// The shape of a line's mark: circle, square, triangle.
function mark(look) {
  const shapes = ["M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0", "M-4.5,-4.5h9v9h-9z", "M0,-6L5.5,4.5h-11z"];
  return drawn("path", { class: `dml-mark dml-look${look}`, d: shapes[look] });
}

// A line's name beside a piece of it, for the words above several charts.
function key(name, look) {
  const sample = drawn("svg", { width: 34, height: 14, "aria-hidden": "true", class: "dml-key" });
  const dot = mark(look);
  put(dot, "transform", "translate(17,7)");
  sample.append(drawn("path", { class: `dml-line dml-look${look}`, d: "M0,7H34" }), dot);
  return element("span", { class: "dml-legend" }, sample, name);
}

// The next number above that one likes to read on an axis.
function roundUp(value) {
  const ten = 10 ** Math.floor(Math.log10(value || 1));
  return ten * ([1, 1.5, 2, 3, 4, 5, 8, 10].find((times) => times * ten >= value) ?? 10);
}
