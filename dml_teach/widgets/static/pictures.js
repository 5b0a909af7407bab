// Small images from the bytes of a trait, side by side on one sheet, of which each place on the page shows a part.

// `size` is [height, width, channels]; bytes are (N, height, width, channels).
function sheet(view, [height, width, channels], count) {
  const bytes = decode(view, "u1"),
    columns = Math.ceil(Math.sqrt(count)),
    rows = Math.ceil(count / columns);
  const canvas = element("canvas", { width: columns * width, height: rows * height });
  const context = canvas.getContext("2d");
  const tile = context.createImageData(width, height);
  for (let i = 0; i < count; i++) {
    for (let pixel = 0; pixel < width * height; pixel++) {
      const from = (i * width * height + pixel) * channels;
      for (let c = 0; c < 3; c++) {
        // One channel is ink on paper, as in the book's figures.
        tile.data[4 * pixel + c] = channels === 1 ? 255 - bytes[from] : bytes[from + Math.min(c, channels - 1)];
      }
      tile.data[4 * pixel + 3] = 255;
    }
    context.putImageData(tile, (i % columns) * width, Math.floor(i / columns) * height);
  }
  return { url: canvas.toDataURL(), columns, rows, ink: channels === 1, ratio: width / height };
}

// A place that shows one image of the sheet, or, where no pixels may be stored, its words.
function picture(from, className) {
  const node = element("span", { class: `dml-picture ${className}`, "aria-hidden": "true" });
  if (from) {
    node.style.backgroundImage = `url(${from.url})`;
    node.style.backgroundSize = `${100 * from.columns}% ${100 * from.rows}%`;
    node.style.aspectRatio = from.ratio;
    if (from.ink) node.classList.add("dml-ink");
  } else {
    node.classList.add("dml-no-pixels");
  }
  return {
    node,
    show(i, words) {
      if (!from) return say(node, words);
      const part = (place, places) => (places > 1 ? (100 * place) / (places - 1) : 0);
      const x = part(i % from.columns, from.columns),
        y = part(Math.floor(i / from.columns), from.rows);
      node.style.backgroundPosition = `${x}% ${y}%`;
    },
  };
}
