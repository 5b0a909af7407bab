// The probe images, twenty at a time, in an order that the reader chooses; each is a radio button.

const PAGE = 20;
const ORDERS = [
  ["disagreement", "how much the peers disagree"],
  ["class", "class"],
  ["right", "who is right"],
];

const CAPTIONS = {
  disagreement: "below, the disagreement in nats",
  class: "below, the true class",
  right: "below, how many peers are right",
};

// `nowOf(n)` gives the epoch that is shown of run n; `chosen(place)` is called with the place of the image among those
// stored.
function gallery({ about, nowOf, sheetOf, chosen }) {
  let by = "disagreement",
    of = 0,
    page = 0,
    place = 0;
  const again = (change) => (change(), draw());
  const orderOf = select("Sort by", ORDERS, (value) => again(() => ((by = value), (page = 0))));
  const names = about.runs.map(({ name }, n) => [n, name]);
  const runOf = select("peers of", names, (value) => again(() => ((of = Number(value)), (page = 0))));
  const thumbs = element("div", { class: "dml-thumbs" });
  const slots = thumbnails(about, sheetOf, chosen);
  thumbs.append(...slots.map((slot) => slot.node));
  const pageOf = (image) => Math.floor(galleryOrder(nowOf(of), by).indexOf(image) / PAGE);
  const turning = pager(
    (step) => again(() => (page += step)),
    () => again(() => (page = pageOf(place))),
  );
  const summary = element("p", { class: "dml-summary", role: "status" }),
    legend = element("p", { class: "dml-note" });
  const node = element(
    "fieldset",
    { class: "dml-gallery" },
    element("legend", {}, "Probe images"),
    element("div", { class: "dml-row" }, orderOf.node, about.runs.length > 1 ? runOf.node : null),
    legend,
    thumbs,
    turning.node,
    summary,
  );

  function draw() {
    const now = nowOf(of),
      order = galleryOrder(now, by);
    const shown = order.slice(page * PAGE, (page + 1) * PAGE);
    slots.forEach((slot, n) => slot.show(shown[n], now, by, shown[n] === place));
    turning.show(page * PAGE, shown.length, order.length, shown.includes(place));
    say(legend, `✓ ✗ the ensemble is right or wrong; ${CAPTIONS[by]}`);
    say(summary, summaryOf(shown, now));
  }
  return { node, draw: (at) => ((place = at), draw()) };
}

// The buttons that turn the pages, and where one is.
function pager(turned, found) {
  const button = (words, clicked, sign) =>
    element("button", { type: "button", "aria-label": sign ? words : null, onclick: clicked }, sign ?? words);
  const back = button("earlier images", () => turned(-1), "‹");
  const on = button("later images", () => turned(1), "›");
  const find = button("to the chosen image", found);
  const where = element("output", { class: "dml-where" });
  return {
    node: element("div", { class: "dml-row dml-pages" }, back, where, on, find),
    show(before, shown, all, holdsChosen) {
      say(where, `${before + 1}–${before + shown} of ${all}`);
      put(find, "hidden", holdsChosen ? "" : null);
      put(back, "disabled", before > 0 ? null : "");
      put(on, "disabled", before + shown < all ? null : "");
    },
  };
}

function thumbnails(about, sheetOf, chosen) {
  const group = fresh("image");
  return Array.from({ length: Math.min(PAGE, about.labels.length) }, () => {
    const slot = thumbnail(about, sheetOf);
    slot.input.name = group;
    slot.input.addEventListener("change", () => chosen(slot.place));
    return slot;
  });
}

function thumbnail(about, sheetOf) {
  const input = element("input", { type: "radio", class: "dml-hidden" });
  const shows = picture(sheetOf, "dml-small"),
    sign = element("span"),
    caption = element("span");
  const node = element(
    "label",
    { class: "dml-thumb" },
    input,
    shows.node,
    element("span", { class: "dml-caption", "aria-hidden": "true" }, sign, " ", caption),
  );
  const slot = { node, input, place: 0, show };
  function show(place, now, by, checked) {
    put(node, "hidden", place === undefined ? "" : null);
    if (place === undefined) return;
    slot.place = place;
    input.checked = checked;
    const found = verdict(ensembleRight(now, place)),
      dispute = disputes(now)[place];
    const label = className(about, now.labels[place]),
      right = `${peersRight(now, place)} of ${now.learning.length}`;
    shows.show(place, `${label} ${about.hashes[place]}`);
    say(sign, found.sign);
    put(sign, "class", found.look);
    say(caption, { disagreement: dispute.toFixed(2), class: label, right }[by]);
    const said = className(about, argmax(ensemble(now, place)));
    put(
      input,
      "aria-label",
      `image ${about.numbers[place]}, ${label}, disagreement ${dispute.toFixed(2)} nats, ${right} peers ` +
        `right, the ensemble says ${said}, ${found.words}`,
    );
    put(input, "value", about.numbers[place]);
  }
  return slot;
}

function className(about, label) {
  return label < 0 ? "not known" : about.class_names[label];
}

// What the page says about the question of the chapter: is the average right where the peers differ?
function summaryOf(places, now) {
  const known = places.filter((i) => now.labels[i] >= 0);
  const together = known.filter((i) => ensembleRight(now, i)).length;
  const alone = known.reduce((sum, i) => sum + peersRight(now, i), 0) / now.learning.length;
  return `Of these ${known.length}, the ensemble is right on ${together}, a single peer on ${Number(alone.toFixed(2))}.`;
}
