"""What this book needs beyond Sphinx: tables from recordings, the list of chapters, links that hold on the site.

Directives, each of which becomes the markdown that a function makes when the site is built:

    published NAME    a table of the paper beside others' and ours      parameters    the networks' sizes
    recordings        every recording of ours                           sources       where published numbers were read
    power             what the comparisons named in it, a line each, could have shown
    costs             what planned recordings that are not there would cost
    chapters          what each chapter that there is brings, in its own words
    modules           those that a page does not document, in a line each

The role {test}`tests/test_losses.py::test_name` names a test, and a test that does not exist fails the build; {ours}`
cohort_size: mutual-2 - independent-2, top1` quotes a difference from a recording. Links from a chapter to files beside
the book lead to the page that stands for them on the site, or into the repository.
"""

import ast
import html
import importlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

import costs
import nbformat
import quotes
import tables
from book_experiments import EXPERIMENTS
from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from dml_teach import published
from dml_teach.errors import DmlTeachError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "dml_teach"
CHAPTER = re.compile(r"\d\d_\w+")
SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):$")
COLUMNS = re.compile(r"^(    |\| )|\S {3,}\S")  # indented, a table, or words set apart by spaces
EQUATIONS = "reference/equations"
WIDE = ("published", "recordings")  # directives whose tables have many columns
LOGGER = logging.getLogger(__name__)


class FromData(SphinxDirective):
    """A directive whose markdown is made from the recordings and what others published."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make the markdown and parse it here; a fault of the data is a warning, which fails the build."""
        folder = Path(self.env.srcdir) / "recordings"
        for path in [published.FILE, *folder.glob("*.json")]:
            self.env.note_dependency(str(path))
        self.env.note_reread()  # a new recording is no change of a file that is known
        try:
            text = self.markdown(folder)
        except DmlTeachError as error:
            LOGGER.warning(str(error), location=self.get_location())
            return []
        return self.parsed(text)

    def markdown(self, folder: Path) -> str:
        """What stands in the directive's place."""
        found = tables.recordings_in(folder)
        comparisons = [line.strip() for line in self.content if line.strip()]
        numbers = [*published.read(), *tables.ours(found)]
        makers = {
            "published": lambda: tables.side_by_side(self.arguments[0], numbers),
            "parameters": lambda: tables.parameters(numbers),
            "recordings": lambda: tables.recorded_tables(found),
            "sources": lambda: tables.sources(numbers),
            "power": lambda: quotes.power(found, comparisons),
            "costs": lambda: costs.left_to_do(found, EXPERIMENTS),
        }
        return makers[self.name]()

    def parsed(self, text: str) -> list[nodes.Node]:
        """The nodes of some markdown. A wide table takes the margin as well, and scrolls sideways on a narrow screen."""
        holder = nodes.container(classes=["from-data", *(["full-width"] if self.name in WIDE else ())])
        self.state.nested_parse(StringList(text.splitlines(), source=self.env.docname), self.content_offset, holder)
        return [holder]


class Chapters(FromData):
    """What each chapter that there is brings: title, aim and time, from its own first cell."""

    def markdown(self, folder: Path) -> str:
        """One block for each chapter."""
        blocks = [summary(path) for path in chapters(folder.parent)]
        return "\n".join([":::::{container} chapters", *blocks, ":::::"])


class Modules(FromData):
    """The modules that this page does not document, each with the first line of its docstring."""

    def markdown(self, folder: Path) -> str:
        """A table of them."""
        page = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        documented_here = set(re.findall(r"automodule:: (\S+)", page))
        rows = [["module", ""], ["---", "---"]]
        for path in sorted((ROOT / PACKAGE).rglob("*.py")):
            name, said = module_name(path.relative_to(ROOT)), ast.get_docstring(ast.parse(path.read_bytes()))
            if name not in documented_here and "__main__" not in name and said:
                rows.append([f"`{name}`", said.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")])
        return tables.markdown(rows)


class Test(SphinxRole):
    """The name of a test, on two lines; it must exist, and leads into the repository when the address is known."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Check the name and show it."""
        if not exists(self.text):
            LOGGER.warning("there is no test %s", self.text, location=self.get_location())
        file, _, name = self.text.partition("::")
        # A name is as long as a sentence: it may be broken after each word of it.
        shown: nodes.Node = nodes.raw("", " ".join(map(breakable, (file, name))), format="html")
        if repository := self.config.html_theme_options.get("repository_url"):
            shown = nodes.reference("", "", shown, refuri=f"{repository}/blob/main/{file}", internal=False)
        return [nodes.inline("", "", shown, classes=["test"])], []


class Ours(SphinxRole):
    """A difference that a recording holds, worked out when the site is built: RECORDING: ARM - BASELINE, METRIC."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Work it out; a recording, an arm or a metric that does not exist is a warning, which fails the build."""
        self.env.note_reread()
        try:
            text = quotes.effect(tables.recordings_in(Path(self.env.srcdir) / "recordings"), self.text)
        except DmlTeachError as error:
            LOGGER.warning(str(error), location=self.get_location())
            text = tables.NOT_RUN
        return [nodes.strong("", text, classes=["ours"])], []


class LinksOutOfTheBook(SphinxTransform):
    """Files beside the book are no part of the site: a link to one becomes a link to the page that stands for it.

    A module, or what the link's text names in it, is on the API page; a test is named on the page of equations, or is
    shown in the repository when the address is known; anything else is in the repository, or is just a name.
    """

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Replace every download, and every notebook, that leads out of the book."""
        here = Path(self.env.srcdir)
        notebooks = [node for node in self.document.findall(addnodes.pending_xref) if node.get("reftype") == "myst"]
        for node in [*self.document.findall(addnodes.download_reference), *notebooks]:
            # MyST takes a notebook for a page and, where it is there, names it by its whole path without the suffix.
            name = node["reftarget"]
            if node in notebooks and Path(name).is_absolute():
                name += ".ipynb"
            target = Path(os.path.normpath(Path(here, self.env.docname).parent / name))
            if target.suffix and not target.is_relative_to(here) and target.is_relative_to(here.parent):
                node.replace_self(self.instead(node, target.relative_to(here.parent)))

    def instead(self, node: nodes.Element, path: Path) -> nodes.Node:
        """What stands in the place of a link to a file of the repository."""
        repository = self.config.html_theme_options.get("repository_url")
        if path.parts[0] == PACKAGE and path.suffix == ".py":
            return reference(node, "py", "obj", documented(path, node.astext()), self.env.docname)
        if repository:
            link = nodes.reference("", "", refuri=f"{repository}/blob/main/{path.as_posix()}", internal=False)
            link.extend(node.children)
            return link
        if path.parts[0] == "tests":
            return reference(node, "std", "doc", f"/{EQUATIONS}", self.env.docname)
        return nodes.inline("", "", *node.children)


def reference(node: nodes.Element, domain: str, kind: str, target: str, page: str) -> nodes.Element:
    """A link that Sphinx resolves, with the content of another; where the target is not documented, just the content."""
    link = addnodes.pending_xref(
        "", refdomain=domain, reftype=kind, reftarget=target, refdoc=page, refexplicit=True, refwarn=False
    )
    link.extend(node.children)
    return link


def documented(path: Path, text: str) -> str:
    """The full name under which the API page has what a link to a module speaks of; the module, if it has no such."""
    module = module_name(path)
    found: Any = importlib.import_module(module)
    for part in text.strip("()").removeprefix(f"{path.stem}.").split("."):
        found = getattr(found, part, None)
    home, name = getattr(found, "__module__", ""), getattr(found, "__qualname__", "")
    if not home or not name:
        return module
    package = importlib.import_module(home.rpartition(".")[0] or home)
    return f"{package.__name__ if name in getattr(package, '__all__', ()) else home}.{name}"


def module_name(path: Path) -> str:
    """The name under which the file of a module, from the root of the repository, is imported."""
    return ".".join(part for part in path.with_suffix("").parts if part != "__init__")


def breakable(name: str) -> str:
    """A name as code in HTML, with a place for a line break after every _ and /."""
    return "<code>" + re.sub("([_/])", r"\1<wbr>", html.escape(name)) + "</code>"


def exists(test: str) -> bool:
    """Whether a test of that name, FILE::NAME, is written."""
    file, _, name = test.partition("::")
    path = ROOT / file
    return (
        path.is_file() and re.search(rf"^def {re.escape(name)}\(", path.read_text(encoding="utf-8"), re.M) is not None
    )


def chapters(book: Path) -> list[Path]:
    """The chapters' notebooks in reading order."""
    return [path for path in sorted(book.glob("*.ipynb")) if CHAPTER.fullmatch(path.stem)]


def summary(path: Path) -> str:
    """A chapter in three lines: title, what one can do after it, how long it takes."""
    first = nbformat.read(path, as_version=4).cells[0].source
    title = first.partition("\n")[0].lstrip("# ")
    facts = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", first, re.M))
    aim = next((text for head, text in facts.items() if head.startswith("After this")), "")
    lines = ["::::{container} chapter", f"**[{title}]({path.name})**"]
    lines += ["", f"You will be able to {aim}." if aim else ""]
    lines += ["", f"*{facts['Time']}*" if "Time" in facts else "", "::::"]
    return "\n".join(lines)


def add_download_buttons(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """A page can be printed, and a chapter's notebook taken away; no other source lies on the site."""
    if not doctree:
        return
    buttons: list[dict[str, str]] = []
    if CHAPTER.fullmatch(pagename):
        buttons.append(
            {
                "type": "link",
                "url": f"{context['pathto']('_downloads', 1)}/{pagename}.ipynb",
                "text": "Notebook",
                "tooltip": "Download this chapter's notebook",
                "icon": "fas fa-file-code",
                "label": "download-notebook-button",
            }
        )
    buttons.append(
        {
            "type": "javascript",
            "javascript": "window.print()",
            "text": "Print or PDF",
            "tooltip": "Print this page, or save it as PDF",
            "icon": "fas fa-file-pdf",
            "label": "download-pdf-button",
        }
    )
    context["header_buttons"].append(
        {
            "type": "group",
            "tooltip": "Download this page",
            "icon": "fas fa-download",
            "buttons": buttons,
            "label": "download-buttons",
        }
    )


def copy_notebooks(app: Sphinx, error: Exception | None) -> None:
    """Lay the chapters' notebooks, and nothing else of the sources, where the buttons lead."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_downloads"
        folder.mkdir(exist_ok=True)
        for path in chapters(Path(app.srcdir)):
            shutil.copyfile(path, folder / path.name)


def docstring_as_rst(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written to be read in an editor: what is set in columns or indented stays as it is."""
    lines[:] = as_rst(lines)


def as_rst(lines: list[str]) -> list[str]:
    """A docstring with its tables and listings as literal blocks and its bars as bars; Google's sections are left."""
    found, section = [], False
    for paragraph in "\n".join(lines).split("\n\n"):
        block = paragraph.strip("\n").split("\n")
        section = bool(SECTION.match(block[0])) or (section and block[0].startswith(" "))
        if section or not paragraph.strip():
            found += [re.sub(r": (\w\.)$", r": \\\1", line) for line in block]  # "T." would begin a numbered list
        elif any(COLUMNS.search(line) for line in block):
            found += ["::", "", *(f"    {line}" for line in block)]
        else:
            found += [line.replace("|", r"\|") for line in block]
        found.append("")
    return found


def without_aliases(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what Python writes by itself: the fields of a named tuple stand among its attributes already."""
    written_by_python = str(getattr(thing, "__doc__", "")).startswith("Alias for field number")
    return True if written_by_python else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    for name in ("published", "parameters", "recordings", "sources", "power", "costs"):
        app.add_directive(name, FromData)
    app.add_directive("chapters", Chapters)
    app.add_directive("modules", Modules)
    app.add_role("test", Test())
    app.add_role("ours", Ours())
    app.add_transform(LinksOutOfTheBook)
    app.connect("html-page-context", add_download_buttons, priority=502)
    app.connect("build-finished", copy_notebooks)
    app.connect("autodoc-process-docstring", docstring_as_rst, priority=400)  # before napoleon reads the sections
    app.connect("autodoc-skip-member", without_aliases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
