"""The widgets in a real browser: driven by mouse and by keyboard, with a kernel and without, to Python's numbers."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page, expect

from dml_teach import losses, metrics, runs, topology
from dml_teach.analysis import agreement
from dml_teach.analysis.posteriors import logits_of
from dml_teach.reid import ranking as reid
from dml_teach.widgets import AgreementExplorer, RetrievalExplorer, TemperatureExplorer, TopologyEditor
from tests.browser import chromium
from tests.browser.test_lab import house, lab, open_chapter  # noqa: F401
from tests.widgets.pages import page as page_of
from tests.widgets.test_retrieval import at_random
from tools.notebooks import BOOK, chapters

pytestmark = pytest.mark.browser

RECORDED = BOOK / "recordings" / "agreement"
NAMES = ("independent", "mutual")
CHAPTER = "05_do_they_agree"
WIDER_THAN_WINDOW = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
CLOSE = {"abs": 1e-6}
PATIENCE = 1000 * chromium.ANSWER_SECONDS
SIZES = {"wide": 900, "phone": 390, "zoomed": 320}  # the last: a window of 640 pixels at 200 %


def recorded() -> list[runs.Run]:
    return [runs.load(RECORDED / name) for name in NAMES]


def examples() -> dict[str, Any]:
    """One of each widget, and the message in place of one."""
    pair = recorded()
    logits = logits_of(pair[0].posteriors[-1, :2, 8].double())
    found, distances = at_random(1, queries=6, gallery=40)
    return {
        "agreement": AgreementExplorer(*pair),
        "temperature": TemperatureExplorer(*logits, pair[0].class_names, names=("peer 0", "peer 1")),
        "topology": TopologyEditor(topology.ring(4)),
        "retrieval": RetrievalExplorer({"peer 0": distances, "ensemble": distances / 2 + distances.flip(1)}, found),
        "message": AgreementExplorer("nowhere"),
    }


@pytest.fixture
def show(tab: chromium.Tab, tmp_path: Path) -> Callable[..., Page]:
    """Put widgets on a page of their own, opened from the disk."""

    def opened(*widgets: Any, theme: str = "light", width: int = SIZES["wide"]) -> Page:
        path = tmp_path / "page.html"
        path.write_text(page_of(*widgets, theme=theme), encoding="utf-8")
        tab.page.set_viewport_size({"width": width, "height": 900})
        tab.page.goto(path.as_uri())
        tab.page.wait_for_selector(".dml")
        return tab.page

    return opened


# --- what is on the page, as numbers ---


def value(place: Locator) -> float:
    return float(place.get_attribute("data-value"))


def values(places: Locator) -> list[float]:
    return [value(place) for place in places.all()]


def matrix(explorer: Locator, place: int) -> torch.Tensor:
    """A table of peers by peers: that of run n over all images is 2 n, that of the image 2 n + 1."""
    found = values(explorer.locator(".dml-matrix").nth(place).locator("td[data-value]"))
    return torch.tensor(found, dtype=torch.float64).reshape(int(len(found) ** 0.5), -1)


def curve(explorer: Locator, title: str) -> list[float]:
    return values(explorer.locator("figure", has_text=title).locator(".dml-number"))


def slider(widget: Locator) -> Locator:
    return widget.locator("input[type=range]")


def drag(page: Page, widget: Locator, share: float) -> None:
    """Take the slider's handle, which stands at its end, and pull it to a share of the way."""
    slider(widget).scroll_into_view_if_needed()
    box = slider(widget).bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * share, y, steps=4)
    page.mouse.up()


def settle(page: Page) -> None:
    """Wait until what has changed is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def explore(page: Page, explorer: Locator) -> tuple[int, int, int]:
    """Drag the epochs to the middle, go two back by keyboard, choose the third image, look at peer 2."""
    drag(page, explorer, 0.5)
    dragged = int(slider(explorer).input_value())
    assert 12 <= dragged <= 19
    slider(explorer).focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    epoch = dragged - 2
    expect(slider(explorer)).to_have_attribute("aria-valuetext", f"{epoch} of 30", timeout=PATIENCE)
    thumb = explorer.locator(".dml-thumb").nth(2)
    image = int(thumb.locator("input").get_attribute("value"))
    thumb.click()
    explorer.locator(".dml-opinions input[type=radio]").nth(2).check()
    settle(page)
    return epoch, image, 2


def check(explorer: Locator, epoch: int, image: int, peer: int) -> None:
    """All that the explorer shows of an epoch and an image is what Python finds."""
    for n, run in enumerate(recorded()):
        logits, labels = logits_of(run.posteriors[epoch - 1].double()), run.probe.labels
        of_image = logits[:, image : image + 1]
        torch.testing.assert_close(matrix(explorer, 2 * n), metrics.agreement(logits), rtol=0, atol=1e-6)
        torch.testing.assert_close(matrix(explorer, 2 * n + 1), metrics.pairwise_kl(of_image), rtol=0, atol=1e-6)
        expected = {
            "Agreement": metrics.mean_off_diagonal(metrics.agreement(logits)),
            "Mean KL": metrics.mean_off_diagonal(metrics.pairwise_kl(logits)),
            "Entropy": metrics.entropy(logits).mean(),
        }
        for title, number in expected.items():
            assert curve(explorer, title)[n] == pytest.approx(number.item(), **CLOSE)
        table = explorer.locator(".dml-opinions").nth(n)
        true = table.locator("tbody tr.dml-true")
        shares = torch.cat([losses.log_posterior(of_image)[:, 0].exp(), metrics.ensemble(of_image).exp()])
        assert values(true.locator("td")) == pytest.approx(shares[:, labels[image]].tolist(), **CLOSE)
        names = values(table.locator("tfoot tr").nth(0).locator("td"))
        assert names == shares.argmax(dim=-1).tolist()
        doubt = values(table.locator("tfoot tr").nth(1).locator("td"))
        assert doubt == pytest.approx(torch.special.entr(shares).sum(dim=-1).tolist(), **CLOSE)
        assert table.locator("thead th.dml-focus").inner_text().strip() == f"peer {peer}"
    assert explorer.locator(".dml-who strong").inner_text().startswith(f"Image {image}: ")


# --- with a kernel ---


def axe_of_widgets(page: Page) -> list[str]:
    """Serious and critical barriers within the widgets: JupyterLab around them is not ours."""
    page.evaluate(AXE_SCRIPT)
    found = chromium.answer(page, "() => axe.run('.dml', { resultTypes: ['violations'] })", chromium.AXE_SECONDS)
    return [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")]


def run_code(page: Page, code: str) -> str:
    """What the kernel of the open notebook prints."""
    program = """async () => {
      const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
      const request = kernel.requestExecute({ code: %r });
      let printed = "";
      request.onIOPub = (message) => { printed += message.content.text ?? message.content.evalue ?? ""; };
      await request.done;
      return printed;
    }"""
    return chromium.answer(page, program % code, 120)


def kernel_says(page: Page, code: str, wanted: str) -> None:
    """Ask the kernel until what was chosen has reached it."""
    for _ in range(40):
        said = run_code(page, code).strip()
        if said == wanted:
            return
        page.wait_for_timeout(250)
    pytest.fail(f"{code} printed {said!r}, not {wanted!r}")


def go_to_cell(page: Page, words: str) -> None:
    """Bring the cell of the open notebook that holds some words before the eyes: what is far off is not drawn."""
    program = """async () => {
      const notebook = window.jupyterapp.shell.currentWidget.content;
      const holds = ({ type, sharedModel }) => type === "code" && sharedModel.source.includes(%r);
      const at = notebook.widgets.findIndex((cell) => holds(cell.model));
      notebook.activeCellIndex = at;
      for (let round = 0; round < 8; round++) {  // heights are guesses until what lies between has been drawn
        await notebook.scrollToItem(at, "start");
        await new Promise((done) => setTimeout(done, 150));
      }
    }"""
    chromium.answer(page, program % words, 120)


def run_cell(page: Page, words: str) -> None:
    """Run the cell of the open notebook that holds some words."""
    go_to_cell(page, words)
    chromium.answer(page, "() => window.jupyterapp.commands.execute('notebook:run-cell')", 120)


def test_the_kernel_reads_what_is_chosen_in_jupyterlab(tab, lab):  # noqa: F811
    open_chapter(tab, lab, CHAPTER)
    run_cell(tab.page, "runs.load(recordings")
    run_cell(tab.page, "AgreementExplorer(recorded")
    explorer = tab.page.locator(".dml")
    explorer.locator(".dml-thumb").first.wait_for(timeout=3 * PATIENCE)
    chosen = explore(tab.page, explorer)
    check(explorer, *chosen)
    kernel_says(tab.page, "print(explorer.epoch, explorer.image, explorer.peer)", " ".join(map(str, chosen)))
    run_code(tab.page, "explorer.epoch = 4; explorer.image = 50")
    tab.page.wait_for_selector(".dml input[type=range][aria-valuetext='4 of 30']", timeout=PATIENCE)
    check(explorer, 4, 50, 2)
    chromium.screenshot(tab.page, "widget-lab")
    assert (tab.outside, tab.errors) == ([], [])
    assert axe_of_widgets(tab.page) == []


def test_a_topology_is_clicked_together_in_jupyterlab_and_read_by_the_kernel(tab, lab):  # noqa: F811
    open_chapter(tab, lab, "00_welcome")
    program = """async () => {
      const notebook = window.jupyterapp.shell.currentWidget.content;
      notebook.activeCellIndex = notebook.widgets.length - 1;
      await window.jupyterapp.commands.execute("notebook:insert-cell-below");
      notebook.activeCell.model.sharedModel.setSource(
        "from dml_teach import topology\\nfrom dml_teach.widgets import TopologyEditor\\n" +
        "editor = TopologyEditor(topology.independent(3))\\neditor");
      await window.jupyterapp.commands.execute("notebook:run-cell");
    }"""
    chromium.answer(tab.page, program, 120)
    editor = tab.page.locator(".dml")
    editor.locator("input[type=checkbox]").first.wait_for(timeout=3 * PATIENCE)
    for box in editor.locator("input[type=checkbox]").all():
        box.focus()
        tab.page.keyboard.press("Space")
    expect(editor.locator(".dml-setting")).to_have_attribute("data-name", "mutual", timeout=PATIENCE)
    kernel_says(tab.page, "import torch; print(torch.equal(editor.matrix, topology.mutual(3)))", "True")


# --- in the book, with no kernel and no network ---


@pytest.fixture(params=["http", "file"])
def address(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    if request.param == "file":
        yield site.as_uri()
    else:
        with chromium.serve(site) as served:
            yield served


def test_in_the_book_the_same_moves_change_the_same_numbers(address, tab):
    tab.page.goto(f"{address}/{CHAPTER}.html")
    explorer = tab.page.locator(".dml")
    explorer.locator(".dml-thumb").first.wait_for()
    chosen = explore(tab.page, explorer)
    check(explorer, *chosen)
    assert (tab.outside, tab.errors) == ([], [])


def test_the_widget_alone_answers_the_question_of_chapter_05(address, tab):
    tab.page.goto(f"{address}/{CHAPTER}.html")
    explorer = tab.page.locator(".dml")
    ten = [explorer.locator(".dml-thumb").nth(n) for n in range(10)]
    run = recorded()[0]
    logits, labels = logits_of(run.posteriors[-1]), run.probe.labels
    order = agreement.disagreement(logits).argsort(descending=True)[:10]
    right = (metrics.ensemble(logits).argmax(dim=-1) == labels)[order]
    assert [int(thumb.locator("input").get_attribute("value")) for thumb in ten] == order.tolist()
    signs = [thumb.locator(".dml-caption").inner_text().split()[0] for thumb in ten]
    assert signs == ["✓" if is_right else "✗" for is_right in right.tolist()]
    labels_said = [thumb.locator("input").get_attribute("aria-label") for thumb in ten]
    assert all(
        text.endswith("right" if is_right else "wrong") for text, is_right in zip(labels_said, right, strict=True)
    )


def test_the_temperature_explorer_of_chapter_02_is_alive(address, tab):
    tab.page.goto(f"{address}/02_posteriors.html")
    widget = tab.page.locator(".dml")
    slider(widget).focus()
    for _ in range(8):
        tab.page.keyboard.press("ArrowRight")
    settle(tab.page)
    assert widget.locator("output").inner_text() == "2.00"
    assert (tab.outside, tab.errors) == ([], [])


def test_a_page_without_widgets_loads_none_of_their_code(site, tab):
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    with_widgets = [path for path in chapters() if "widgets import" in path.read_text(encoding="utf-8")]
    assert len(with_widgets) >= 2
    for path in chapters():
        asked.clear()
        tab.page.goto((site / f"{path.stem}.html").as_uri())
        tab.page.wait_for_load_state("networkidle")
        states = tab.page.locator("script[type*='widget-state']").count()
        hosts = [url for url in asked if "widget" in url.rpartition("/_static/")[2]]
        assert (len(hosts), states) == ((1, 1) if path in with_widgets else (0, 0)), path.stem


# --- each widget on a page of its own ---


@pytest.mark.parametrize("name", ["agreement", "temperature", "topology", "retrieval", "message"])
def test_nobody_is_shut_out_in_light_or_dark_on_a_phone_or_at_twice_the_size(show, tab, name):
    widget = examples()[name]
    for theme, size in itertools.product(("light", "dark"), SIZES):
        page = show(widget, theme=theme, width=SIZES[size])
        page.wait_for_timeout(200)  # transitions have ended: half-way colours have other contrasts
        assert tab.errors == [] and tab.outside == []
        assert not chromium.answer(page, WIDER_THAN_WINDOW), (theme, size)
        chromium.screenshot(page, f"widget-{name}-{theme}-{size}")
        if (theme, size) in (("light", "wide"), ("dark", "phone")):
            assert (theme, size, chromium.axe(page)) == (theme, size, [])
            tab.errors.clear()  # axe itself may not read a style from the disk


def test_the_dark_follows_the_system_where_the_page_does_not_say(show, tab):
    colour = "() => getComputedStyle(document.querySelector('.dml')).backgroundColor"
    seen = []
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        seen.append(show(TopologyEditor(topology.ring(3)), theme="").evaluate(colour))
    assert seen[0] == "rgb(255, 255, 255)" != seen[1]


def test_two_explorers_on_one_page_do_not_disturb_each_other(show):
    page = show(AgreementExplorer(*recorded()), AgreementExplorer(RECORDED / "mutual"))
    first, second = page.locator(".dml").nth(0), page.locator(".dml").nth(1)
    before = second.inner_html()
    chosen = explore(page, first)
    first.locator("select").first.select_option("class")
    settle(page)
    check(first, *chosen)
    assert second.inner_html() == before
    assert slider(second).input_value() == "30" and second.locator(".dml-thumb input:checked").count() == 1
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((node) => node.id)")
    assert len(ids) == len(set(ids))
    groups = [
        {radio.get_attribute("name") for radio in part.locator("input[type=radio]").all()} for part in (first, second)
    ]
    assert groups[0].isdisjoint(groups[1])


def test_the_same_widget_shown_twice_moves_together(show):
    explorer = AgreementExplorer(RECORDED / "mutual")
    page = show(explorer, explorer)
    slider(page.locator(".dml").nth(0)).fill("7")
    settle(page)
    assert slider(page.locator(".dml").nth(1)).input_value() == "7"
    told = page.locator(".dml-who").all_inner_texts()
    assert told[0] == told[1]


def test_it_plays_to_the_end_and_can_be_stopped(tab, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page_of(AgreementExplorer(RECORDED / "mutual")), encoding="utf-8")
    tab.page.clock.install()
    tab.page.goto(path.as_uri())
    play = tab.page.get_by_role("button", name="Play")
    play.click()
    tab.page.clock.run_for(2000)
    pause = tab.page.get_by_role("button", name="Pause")
    moved = int(slider(tab.page.locator(".dml")).input_value())
    assert 2 <= moved <= 6  # it began anew
    pause.click()
    tab.page.clock.run_for(5000)
    assert int(slider(tab.page.locator(".dml")).input_value()) == moved
    play.click()
    tab.page.clock.run_for(60_000)
    assert slider(tab.page.locator(".dml")).input_value() == "30" and play.count() == 1


def test_who_wants_less_motion_gets_slower_steps_and_no_transitions(tab, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page_of(AgreementExplorer(RECORDED / "mutual")), encoding="utf-8")
    tab.page.emulate_media(reduced_motion="reduce")
    tab.page.clock.install()
    tab.page.goto(path.as_uri())
    assert tab.page.evaluate("() => getComputedStyle(document.querySelector('.dml-bar')).transitionDuration") == "0s"
    tab.page.get_by_role("button", name="Play").click()
    tab.page.clock.run_for(2000)
    assert slider(tab.page.locator(".dml")).input_value() == "2"


def test_the_gallery_is_one_group_of_radio_buttons_for_the_keyboard(show):
    page = show(AgreementExplorer(*recorded()))
    explorer = page.locator(".dml")
    explorer.locator(".dml-thumb input:checked").focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    second = explorer.locator(".dml-thumb input").nth(1)
    assert second.is_checked()
    assert explorer.locator(".dml-who strong").inner_text().startswith(f"Image {second.get_attribute('value')}: ")
    page.get_by_role("button", name="later images").press("Enter")
    settle(page)
    assert explorer.locator(".dml-where").inner_text() == "21–40 of 200"
    page.get_by_role("button", name="to the chosen image").press("Enter")
    settle(page)
    assert second.is_checked() and explorer.locator(".dml-where").inner_text() == "1–20 of 200"


def test_the_matrix_shows_the_measure_of_choice(show):
    page = show(AgreementExplorer(*recorded()))
    explorer, (_, run) = page.locator(".dml"), recorded()
    logits, labels = logits_of(run.posteriors[-1].double()), run.probe.labels
    for measure, expected in {
        "kl": metrics.pairwise_kl(logits),
        "both_wrong": agreement.both_wrong(logits, labels),
    }.items():
        page.get_by_label("Peers compared on all 200 images by").select_option(measure)
        torch.testing.assert_close(matrix(explorer, 2), expected, rtol=0, atol=1e-6)


NAMELESS = """() => {
  const nameOf = (node) => node.ariaLabel || node.labels?.[0]?.textContent || node.textContent;
  const controls = [...document.querySelectorAll(".dml :is(input, select, button)")];
  return controls.filter((node) => !nameOf(node).trim()).map((node) => node.outerHTML);
}"""


def test_every_picture_has_words(show):
    for widget in examples().values():
        page = show(widget)
        for graph in page.locator(".dml svg:not([aria-hidden])").all():
            assert graph.get_attribute("role") == "img" and len(graph.get_attribute("aria-label")) > 20
        assert page.locator(".dml img:not([alt]), .dml canvas").count() == 0
        assert page.evaluate(NAMELESS) == []


def test_arrows_and_boxes_are_two_ways_to_one_topology(show):
    page = show(TopologyEditor(topology.ring(4)))
    editor = page.locator(".dml")
    name = editor.locator(".dml-setting")
    assert name.get_attribute("data-name") == "ring"
    editor.get_by_label("peer 0 learns from peer 3").press("Space")
    settle(page)
    assert name.get_attribute("data-name") == "chain"
    assert editor.locator(".dml-sum").first.inner_text().startswith("0")
    # The line itself, not the middle of the box around it.
    middle = "(node) => { const at = node.getPointAtLength(node.getTotalLength() / 2), m = node.getScreenCTM();"
    middle += " const p = new DOMPoint(at.x, at.y).matrixTransform(m); return [p.x, p.y]; }"
    arrow = editor.locator(".dml-hit").nth(2)  # 0 from 3: after 0 from 1 and 0 from 2
    page.mouse.click(*arrow.evaluate(middle))
    settle(page)
    assert name.get_attribute("data-name") == "ring"
    page.get_by_label("Start from").select_option("mutual")
    settle(page)
    found = values(editor.locator("td[data-value]:not(.dml-sum)"))
    assert found == topology.mutual(4)[~torch.eye(4, dtype=torch.bool)].tolist()


def test_the_ranking_is_read_place_by_place(show):
    found, distances = at_random(1, queries=6, gallery=40)
    better = distances - 0.8 * (found.query.identities[:, None] == found.gallery.identities[None])
    page = show(RetrievalExplorer({"peer 0": distances, "ensemble": better}, found))
    widget = page.locator(".dml")
    labels = [found.query.identities, found.gallery.identities, found.query.cameras, found.gallery.cameras]
    scores = {
        (name, convention): reid.evaluate_distances(matrix.numpy(), *(part.numpy() for part in labels), ap=convention)
        for name, matrix in (("peer 0", distances), ("ensemble", better))
        for convention in ("sum", "trapezoid")
    }
    query = int(page.get_by_label("Query", exact=True).input_value())
    for row, name in enumerate(("peer 0", "ensemble")):
        cells = values(widget.locator(".dml-scores tbody tr").nth(row).locator("td"))
        both = [scores[name, convention] for convention in ("sum", "trapezoid")]
        expected = [both[0].ap[query], both[1].ap[query], both[0].inp[query], both[0].mAP, both[1].mAP, both[0].cmc[0]]
        assert cells == pytest.approx(expected, **CLOSE)
    page.get_by_role("radio", name="ensemble").check()
    settle(page)
    assert widget.locator(".dml-ranking li.dml-is-match").count() > 0
    slider(widget).focus()
    page.keyboard.press("Home")
    settle(page)
    unread = values(widget.locator("figure .dml-number"))
    for _ in range(19):
        page.keyboard.press("ArrowRight")
    settle(page)
    read = values(widget.locator("figure .dml-number"))
    assert all(a < b for a, b in zip(unread, read, strict=True))
    assert read[0] == pytest.approx(scores["ensemble", "sum"].ap[query], **CLOSE)
    assert read[1] == pytest.approx(scores["ensemble", "trapezoid"].ap[query], **CLOSE)
