// What all widgets build their part of the page with: elements, controls with labels, tables with bars, pictures.

const SVG = "http://www.w3.org/2000/svg";
let idsGiven = 0;

// A name that no other control of the page has, not even one of the same widget shown twice.
function fresh(word) {
  return `dml-${word}-${++idsGiven}-${Math.random().toString(36).slice(2, 8)}`;
}

const CONTROLS = new Set(["input", "select", "button"]);
// JupyterLab takes arrow keys for itself unless the very element that has them says no.
const OWN_KEYS = "data-lm-suppress-shortcuts";

// An element: its attributes, and in it further elements or text.
function element(tag, attributes = {}, ...children) {
  const node = fill(document.createElement(tag), attributes, children);
  if (CONTROLS.has(tag)) node.setAttribute(OWN_KEYS, "true");
  return node;
}

function drawn(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Change a text or an attribute only where it differs: most of a picture stays as it is when a control moves.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function put(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// The frame of a widget, or the message that stands in its place; `build` fills the frame and returns how to redraw it.
// Redrawing happens once for all that changed together, when the browser paints. The result undoes everything.
function widget({ model, el }, label, names, build) {
  el.classList.add("dml-host");
  const root = element("div", { class: "dml", role: "group", "aria-label": label });
  el.replaceChildren(root);
  const said = model.get("message");
  if (said) {
    root.classList.add("dml-empty");
    root.append(element("p", {}, element("strong", {}, `${label}: nothing to show. `), said));
    return () => el.replaceChildren();
  }
  const cleanups = [];
  const draw = build(root, (cleanup) => cleanups.push(cleanup));
  let waiting = 0;
  const later = () => (waiting ||= requestAnimationFrame(() => ((waiting = 0), draw())));
  const events = names.map((name) => `change:${name}`).join(" ");
  model.on(events, later);
  draw();
  return () => {
    cancelAnimationFrame(waiting);
    model.off(events, later);
    cleanups.forEach((cleanup) => cleanup());
    el.replaceChildren();
  };
}

// Set traits and tell the kernel, where there is one.
function choose(model, changes) {
  for (const [name, value] of Object.entries(changes)) model.set(name, value);
  model.save_changes();
}

// A slider with its label and its value in words. `words(position)` is also what a screen reader says.
function slider(label, { min, max, step = 1 }, words, moved) {
  const id = fresh("slider");
  const input = element("input", { type: "range", id, min, max, step, oninput: () => moved(Number(input.value)) });
  const value = element("output", { for: id, class: "dml-value" });
  const node = element("div", { class: "dml-slider" }, element("label", { for: id }, label), input, value);
  return {
    node,
    input,
    show(position) {
      input.value = position;
      put(input, "aria-valuetext", words(position));
      say(value, words(position));
    },
  };
}

// A slider that can also move by itself, a step at a time; it stops at its end, and starts again from its beginning.
function player(label, range, words, moved, cleanup) {
  const moving = slider(label, range, words, (position) => (pause(), moved(position)));
  const sign = element("span", { "aria-hidden": "true", class: "dml-sign" });
  const name = element("span");
  const button = element(
    "button",
    { type: "button", class: "dml-play", onclick: () => (timer ? pause() : play()) },
    sign,
    name,
  );
  let timer = 0;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  function tick() {
    const position = Number(moving.input.value) + range.step;
    if (position > range.max) return pause();
    moved(position);
    if (position >= range.max) pause();
  }
  function play() {
    if (Number(moving.input.value) >= range.max) moved(range.min);
    timer = setInterval(tick, calm.matches ? 1200 : (range.pace ?? 450));
    words_of_button();
  }
  function pause() {
    clearInterval(timer);
    timer = 0;
    words_of_button();
  }
  function words_of_button() {
    say(sign, timer ? "❚❚" : "▶");
    say(name, timer ? "Pause" : "Play");
  }
  words_of_button();
  cleanup(pause);
  moving.node.prepend(button);
  return moving;
}

// A choice from a list: options are [value, words].
function select(label, options, changed) {
  const id = fresh("select");
  const input = element("select", { id, onchange: () => changed(input.value) });
  input.append(...options.map(([value, words]) => element("option", { value }, words)));
  return { node: element("div", { class: "dml-select" }, element("label", { for: id }, label), input), input };
}

// A table with a caption; `head` and the rows hold elements of the row. Where it is wider than its place it can be
// moved sideways, also by keyboard.
function table(caption, head, rows, foot = []) {
  const id = fresh("caption");
  const inner = element(
    "table",
    { style: `--columns: ${head.length - 1}` },
    element("caption", { id }, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
    element("tfoot", {}, ...foot),
  );
  return sideways(inner, id);
}

function sideways(inner, labelledBy) {
  const node = element(
    "div",
    { class: "dml-sideways", role: "group", "aria-labelledby": labelledBy, [OWN_KEYS]: "true" },
    inner,
  );
  new ResizeObserver(() => put(node, "tabindex", node.scrollWidth > node.clientWidth + 1 ? 0 : null)).observe(node);
  return node;
}

// A cell with a number and a bar: behind the number, or, where numbers have signs, below it and from the middle.
function barCell(colour, hasSign = false) {
  const bar = element("span", { class: `dml-bar dml-c${colour}`, "aria-hidden": "true" });
  const number = element("span", { class: "dml-number" });
  const track = hasSign ? element("span", { class: "dml-track", "aria-hidden": "true" }, bar) : bar;
  const node = element("td", { class: "dml-bars" }, ...(hasSign ? [number, track] : [track, number]));
  return {
    node,
    show(value, share, text) {
      const width = Math.min(1, Math.abs(share)) * (hasSign ? 50 : 100);
      bar.style.width = `${width.toFixed(2)}%`;
      if (hasSign) bar.style.left = `${(share < 0 ? 50 - width : 50).toFixed(2)}%`;
      say(number, text);
      put(node, "data-value", value);
    },
  };
}

// Numbers as the widgets write them; a minus is as wide as a plus.
const percent = (share) => (100 * share).toFixed(1);
const nats = (value) => (Number.isNaN(value) ? "–" : value.toFixed(3));
function signed(value, digits = 3) {
  const text = Math.abs(value).toFixed(digits);
  return (Number(text) === 0 ? "" : value < 0 ? "−" : "+") + text;
}
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// The sign of right and wrong, never a colour alone.
function verdict(right) {
  if (right === null) return { sign: "?", words: "label not known", look: "" };
  return right ? { sign: "✓", words: "right", look: "dml-right" } : { sign: "✗", words: "wrong", look: "dml-wrong" };
}
