"""How long the agreement explorer takes to redraw after its slider has moved, in a headless Chromium.

    python benchmarks/widget_redraw.py [--rounds 7] [--steps 60]

Two recorded runs of four peers stand side by side, as in chapter 05, on a page without a kernel. A step moves the
slider to another epoch and waits until every number and bar has its place: the time is that of the move, of the drawing
in the next frame, and of the layout. The first line gives the median, and the range of the rounds' medians; the second
the slowest step of a page, usually the first. Needs Playwright and a Chromium; without them it says so.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from timing import parser

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "book" / "recordings" / "agreement"
# Callbacks run in the order in which they asked for the frame: ours before the widget's, the widget's, ours after it. A
# frame is waited for outside the clock: how often a screen is painted is not the widget's doing.
MOVES = """async (steps) => {
  const slider = document.querySelector(".dml input[type=range]"), root = document.querySelector(".dml"), times = [];
  for (let step = 0; step < steps; step++) {
    let frame = 0;
    requestAnimationFrame(() => (frame = performance.now()));
    const began = performance.now();
    slider.value = 1 + (step * 7) % Number(slider.max);
    slider.dispatchEvent(new Event("input"));
    const handled = performance.now() - began;
    const drawn = await new Promise((done) => requestAnimationFrame(() => {
      root.getBoundingClientRect();
      done(performance.now() - frame);
    }));
    times.push(handled + drawn);
  }
  return times;
}"""


def main() -> None:
    """Measure, and print two lines."""
    chosen = parser(__doc__, rounds=7, steps=60).parse_args()
    sys.path.insert(0, str(ROOT))
    try:
        from dml_teach.widgets import AgreementExplorer
        from tests.browser import chromium
        from tests.widgets.pages import page
    except ImportError as error:
        print(f"not measured: {error}")
        return
    path = chromium.executable()
    if path is None:
        print("not measured: no Chromium or Chrome found")
        return
    explorer = AgreementExplorer(RECORDINGS / "independent", RECORDINGS / "mutual")
    medians, slowest = [], []
    with tempfile.TemporaryDirectory() as folder, chromium.launched(path) as browser:
        file = Path(folder) / "page.html"
        file.write_text(page(explorer), encoding="utf-8")
        for _ in range(chosen.rounds):
            tab = chromium.open_tab(browser.new_context(viewport={"width": 1200, "height": 900}))
            tab.page.goto(file.as_uri())
            tab.page.wait_for_selector(".dml-thumb")
            times = tab.page.evaluate(MOVES, chosen.steps)
            medians.append(statistics.median(times))
            slowest.append(max(times))
            tab.page.context.close()
    low, high = min(medians), max(medians)
    print(f"redraw after a slider move, median: {statistics.median(medians):.1f} ms ({low:.1f} to {high:.1f})")
    print(f"the slowest step of a page: {statistics.median(slowest):.1f} ms ({min(slowest):.1f} to {max(slowest):.1f})")


if __name__ == "__main__":
    main()
