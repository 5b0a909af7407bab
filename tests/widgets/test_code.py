"""The widgets' code as it is shipped: whole, in the wheel's files, and the same in the chapters."""

import inspect
import re

import nbformat
import pytest

from dml_teach import plots, widgets
from dml_teach.widgets import code
from tests.widgets.pages import ask
from tools.notebooks import BOOK, chapters, widget_models

WIDGETS = [getattr(widgets, name) for name in widgets.__all__]
each_widget = pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget.__name__)
# An address on another host: the web's namespace of SVG is a name, not an address that anything is read from.
ADDRESS = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")


@each_widget
def test_the_module_can_be_imported_and_renders(widget):
    assert ask(widget, "return typeof widget.default.render") == "function"


@each_widget
def test_nothing_is_loaded_from_elsewhere(widget):
    assert not ADDRESS.search(widget._esm) and not ADDRESS.search(widget._css)
    assert not re.search(r"^\s*import |@import|\bfetch\(|\beval\(|innerHTML", widget._esm + widget._css, re.M)


@each_widget
def test_help_shows_what_a_widget_is_made_from(widget):
    expected = list(inspect.signature(widget.__init__).parameters)[1:]
    assert list(inspect.signature(widget).parameters) == expected and "args" not in expected


def test_every_file_of_the_code_is_used():
    whole = "\n".join(widget._esm for widget in WIDGETS)
    assert [path.name for path in code.STATIC.glob("*.js") if path.read_text() not in whole] == []


def test_files_and_functions_stay_short():
    for path in code.STATIC.glob("*.js"):
        lines = path.read_text().splitlines()
        assert len(lines) < 350, path.name
        starts = [n for n, line in enumerate(lines) if re.match(r"(export )?(async )?function", line)]
        for start in starts:
            end = next(n for n in range(start, len(lines)) if lines[n] == "}")
            assert end - start < 50, f"{path.name}: {lines[start]}"


def test_the_peers_have_the_colours_of_the_figures():
    css = code.style()
    for k, colour in enumerate(plots.COLOURS[:6]):
        assert re.search(rf"\.dml-c{k} {{[^}}]*{colour.lower()}", css), colour
    for look, colour in enumerate(plots.COLOURS[:3]):
        assert f".dml-look{look} {{ --look: {colour.lower()}" in css


@pytest.mark.parametrize("source", chapters(), ids=lambda source: source.stem)
def test_chapters_hold_the_widgets_as_they_are_shipped(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    for model in widget_models(notebook).values():
        name = model["state"].get("_anywidget_id", "").rpartition(".")[2]
        if name in widgets.__all__:
            shipped = getattr(widgets, name)
            message = f"{source.stem} holds an older {name}; build it again"
            assert (model["state"]["_esm"], model["state"]["_css"]) == (shipped._esm, shipped._css), message


def test_chapters_are_not_too_heavy_to_open():
    assert [path.name for path in BOOK.glob("*.ipynb") if path.stat().st_size > 4_000_000] == []
