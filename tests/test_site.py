"""The site of the book: what its pages state exists, its numbers follow the recordings, and it gives nothing away."""

import html
import importlib
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from dml_teach import comparison, published
from dml_teach.data import sets
from dml_teach.errors import DataError, DmlTeachError
from dml_teach.experiments import Arm, Experiment
from dml_teach.recipes import LAPTOP
from dml_teach.reproduce import cost as reproduced
from tests import sites
from tests.test_house import MODULES
from tools.notebooks import BOOK, ROOT, chapters

sys.path[:0] = [str(BOOK / "site"), str(ROOT / "tools")]
course, tables, quotes, costs = map(importlib.import_module, ("course", "tables", "quotes", "costs"))

PAGES = sorted((BOOK / "reference").glob("*.md"))
ADDRESS = "https://github.com/somebody/a-fork"
NUMBERS = published.read()
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def rows(page: Path) -> list[str]:
    """The rows of a page's tables that name a function."""
    return [line for line in page.read_text().splitlines() if line.startswith("|") and "{py:" in line]


def text_of(page: Path) -> str:
    """What a page shows, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


# --- names ---


@each_page
def test_every_function_that_a_page_names_exists(page):
    for name in re.findall(r"\{py:\w+\}`~?([\w.]+)`", page.read_text()):
        module = next(prefix for prefix in parents(name) if prefix in MODULES)
        found = importlib.import_module(module)
        for part in name.removeprefix(module).strip(".").split(".") if name != module else []:
            found = getattr(found, part)


def parents(name: str) -> list[str]:
    """The name itself and what stands before each of its dots, the longest first."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


@each_page
def test_every_test_that_a_page_names_exists(page):
    named = re.findall(r"\{test\}`([^`]+)`", page.read_text())
    assert [name for name in named if not course.exists(name)] == []


def test_a_test_that_is_not_written_does_not_exist():
    assert course.exists("tests/test_site.py::test_a_test_that_is_not_written_does_not_exist")
    assert not course.exists("tests/test_site.py::test_a_test")
    assert not course.exists("tests/absent.py::test_a_test")


def test_every_equation_has_a_formula_a_function_and_a_test():
    equations = rows(BOOK / "reference" / "equations.md")
    assert len(equations) > 20
    for row in equations:
        assert re.search(r"\$.+\$|arg|Agreement", row) and "{test}`" in row, row


def test_every_function_of_the_equations_is_on_the_api_page(site):
    api = (site / "reference" / "api.html").read_text()
    for row in rows(BOOK / "reference" / "equations.md"):
        name = re.search(r"\{py:\w+\}`~([\w.]+)`", row)[1]
        assert f'id="{name}"' in api, name


def test_every_module_is_on_the_api_page(site):
    api = (site / "reference" / "api.html").read_text()
    assert [module for module in MODULES if module not in api and "__main__" not in module] == []


def test_every_mistake_of_the_faq_has_its_reason_its_cure_and_a_guard():
    page = (BOOK / "reference" / "faq.md").read_text()
    mistakes = page.split("## Why results differ")[0].split("\n### ")[1:]
    assert len(mistakes) == 13
    for mistake in mistakes:
        assert all(part in mistake for part in ("**Why", "**Cure.**", "**Guard.**", "{py:", "{test}`")), mistake[:60]


def test_the_glossary_is_in_order_and_defines_no_term_twice():
    terms = re.findall(r"^(\w.*)\n  \S", (BOOK / "reference" / "glossary.md").read_text(), re.M)
    assert len(terms) >= 50
    assert terms == sorted(set(terms), key=str.lower)


# --- docstrings ---


def test_listings_of_a_docstring_become_literal_and_google_sections_stay():
    docstring = ["Divergence |a - b|.", "", "    x = 1", "", "key    what it holds", "", "Args:", "    t: T."]
    assert course.as_rst(docstring) == [
        "Divergence \\|a - b\\|.", "",
        "::", "", "        x = 1", "",
        "::", "", "    key    what it holds", "",
        "Args:", "    t: \\T.", "",
    ]  # fmt: skip


# --- numbers ---


def test_no_number_stands_twice():
    keys = [number._replace(value="", spread="") for number in NUMBERS]
    assert len(keys) == len(set(keys))


def test_the_papers_tables_agree_where_they_overlap():
    papers = [n for n in NUMBERS if n.tier == "paper" and n.kind == "printed" and n.of in ("net 1", "net 2")]
    found: dict[tuple[str, ...], str] = {}
    for number in papers:
        key = (number.data, number.networks, number.setting, number.of)
        assert found.setdefault(key, number.value) == number.value, number
    alone = {(n.data, n.networks.split(" + ")[n.of == "net 2"], n.value) for n in papers if n.setting == "independent"}
    assert len(alone) == len({key[:2] for key in alone})


def test_every_published_number_is_on_the_page(site):
    page = text_of(site / "reference" / "paper_tables.html")
    assert [n for n in NUMBERS if n.table != "parameters" and n.text not in page] == []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tier", "ours", "tier 'ours' must be one of paper, others"),
        ("kind", "guessed", "kind 'guessed' must be one of"),
        ("value", "about 70", "value 'about 70' is no number"),
        ("source", "", "a number needs its source"),
    ],
)
def test_a_faulty_line_is_refused_with_its_place(tmp_path, field, value, message):
    line = NUMBERS[0]._replace(**{field: value})
    path = tmp_path / "published.csv"
    path.write_text(f"{','.join(line._fields)}\n{','.join(line)}\n")
    with pytest.raises(DataError, match=f"published.csv, line 2: {message}"):
        published.read(path)


def test_a_table_that_nobody_published_is_refused():
    with pytest.raises(DataError, match="table 'absent' is not in"):
        tables.side_by_side("absent", NUMBERS)


def test_a_recording_of_unknown_origin_is_refused(tmp_path):
    (tmp_path / "mine.json").write_text('{"seeds": [0]}')
    with pytest.raises(DataError, match=r"mine\.json: a recording needs its provenance"):
        tables.recordings_in(tmp_path)


def recording(**changes) -> dict:
    """A recording of two seeds of a WRN-28-10 beside a MobileNet on CIFAR-100: alone, mutual, and otherwise."""
    networks = ("mobilenet", "wrn28_10")
    peers = [{"network": name, "parameters": 1, "frozen": False} for name in networks]

    def arm(name: str, topology: str, first: float, **more) -> dict:
        top1 = [[first, 0.75], [first + 0.02, 0.77]]
        values = dict.fromkeys(("top1", "nll", "train_top1"), top1)
        of_cohort = {metric: [0.8, 0.82] for metric in ("ensemble_top1", "ensemble_nll", "mean_agreement")}
        whole = {"name": name, "peers": peers, "topology": topology, "changes": {}, "teachers": None}
        return whole | values | of_cohort | {"mean_pairwise_kl": [None, None]} | more

    return {
        "format": 1,
        "seeds": [0, 1],
        "recipe": {"temperature": 1.0, "mimicry": "pairwise", "epochs": 3, "label_noise": 0.0},
        "data": {"name": "cifar100", "training_images": 50_000},
        "provenance": [{"command": "the command", "commit": "c" * 40, "versions": {}, "hardware": {}}],
        "arms": [
            arm("alone", "independent", 0.6),
            arm("together", "mutual", 0.64),
            arm("soft", "mutual", 0.9, changes={"temperature": 2.0}),
            arm("ring", "ring", 0.9),
        ],
    } | changes


def pair_row(found: dict) -> str:
    """The row of ours for a WRN-28-10 beside a MobileNet."""
    table = tables.side_by_side("pairs", [*NUMBERS, *tables.ours(found)])
    after = table.partition("| WRN-28-10 + MobileNet |")[2]
    return next(line for line in after.splitlines() if "tier-ours" in line).replace("\u00a0", " ")


def test_without_a_recording_the_table_says_not_run():
    assert pair_row({}).count("not run") == 4


def test_a_recording_of_the_same_networks_stands_beside_the_papers_numbers():
    cells = [cell.strip() for cell in pair_row({"pair.json": recording()}).split("|")]
    assert cells[3:5] == ["76.00 ± 1.41 / 61.00 ± 1.41", "76.00 ± 1.41 / 65.00 ± 1.41"]
    assert cells[5:7] == ["81.00 ± 1.41", "81.00 ± 1.41"]
    assert cells[7] == "2 seeds, 50\u202f000 training images, 3 epochs; `pair.json`"


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"name": "bundled", "training_images": 500}},
        {"recipe": {"temperature": 1.0, "mimicry": "pairwise", "epochs": 3, "label_noise": 0.4}},
    ],
)
def test_a_recording_of_something_else_does_not(changes):
    assert pair_row({"pair.json": recording(**changes)}).count("not run") == 4


def test_a_recording_has_a_table_of_its_own_with_every_arm():
    shown = tables.recorded_tables({"pair.json": recording()})
    assert "`the command` at commit `cccccccccccc`" in shown
    assert re.findall(r"^\| (\w+) \|", shown, re.M) == ["alone", "together", "soft", "ring"]


# --- the address of the repository ---


def settings(folder: Path, address: str) -> dict:
    """What conf.py sets in a project with this address; without one where it is empty."""
    shutil.copytree(BOOK / "site", folder / "book" / "site", ignore=shutil.ignore_patterns("_build", "__pycache__"))
    (folder / "pyproject.toml").write_text(with_address(address))
    return runpy.run_path(str(folder / "book" / "site" / "conf.py"))


def with_address(address: str) -> str:
    """The project's settings with the address of a repository, or with none."""
    text = re.sub(r"\[project\.urls\]\n(?:\w+ = .*\n)*", "", (ROOT / "pyproject.toml").read_text())
    return text + (f'\n[project.urls]\nRepository = "{address}"\n' if address else "")


@pytest.fixture
def own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])


@pytest.mark.parametrize(
    ("address", "colab"), [(ADDRESS, "https://colab.research.google.com"), ("https://gitlab.com/a/b", "")]
)
def test_with_an_address_there_are_launch_buttons(tmp_path, own_path, address, colab):
    options = settings(tmp_path, address)["html_theme_options"]
    assert options["repository_url"] == address
    assert options["launch_buttons"]["binderhub_url"] == "https://mybinder.org"
    assert options["launch_buttons"]["colab_url"] == colab


def test_without_an_address_there_are_none(tmp_path, own_path):
    assert {"repository_url", "launch_buttons"}.isdisjoint(settings(tmp_path, "")["html_theme_options"])


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a copy of the book that has an address, another demo and one more recording."""
    root = tmp_path_factory.mktemp("fork")
    shutil.copytree(BOOK, root / "book", ignore=shutil.ignore_patterns("_build", "__pycache__"))
    for name in ("dml_teach", "tests", "tools"):
        (root / name).symlink_to(ROOT / name, target_is_directory=True)
    (root / "pyproject.toml").write_text(with_address(ADDRESS))
    demo = json.loads((BOOK / "recordings" / "demo.json").read_text())
    demo["settings"][0]["top1"] = [0.1234] * len(demo["seeds"])
    (root / "book" / "recordings" / "demo.json").write_text(json.dumps(demo))
    (root / "book" / "recordings" / "pair.json").write_text(json.dumps(recording()))
    few = json.loads((BOOK / "recordings" / "few_labels_fashion.json").read_text())
    (root / "book" / "recordings" / "few_labels_fashion.json").write_text(json.dumps(of_two_seeds(few)))
    return sites.build(root / "html", root / "book")


def of_two_seeds(recorded: dict) -> dict:
    """A recording without its other seeds."""
    arms = [
        {key: value[:2] if isinstance(value, list) and key != "peers" else value for key, value in arm.items()}
        for arm in recorded["arms"]
    ]
    return recorded | {"seeds": recorded["seeds"][:2], "arms": arms}


def test_another_recording_changes_the_page(site, fork):
    before, after = (text_of(folder / "reference" / "paper_tables.html") for folder in (site, fork))
    assert "12.34" in after and "12.34" not in before
    assert "pair.json" in after and "pair.json" not in before


def test_with_an_address_chapters_can_be_launched_and_tests_lead_to_their_source(fork):
    for chapter in chapters():
        page = (fork / f"{chapter.stem}.html").read_text()
        assert f"https://mybinder.org/v2/gh/somebody/a-fork/main?urlpath=lab/tree/book/{chapter.stem}.ipynb" in page
        assert f"https://colab.research.google.com/github/somebody/a-fork/blob/main/book/{chapter.stem}.ipynb" in page
    assert f'href="{ADDRESS}/blob/main/tests/test_losses.py"' in (fork / "reference" / "equations.html").read_text()
    assert f'href="{ADDRESS}/blob/main/tests/test_losses.py"' in (fork / "01_one_network.html").read_text()


def test_without_an_address_the_chapters_links_stay_on_the_site(site):
    page = (site / "01_one_network.html").read_text()
    assert "mybinder" not in page and "colab" not in page
    assert 'href="reference/api.html#dml_teach.losses.cross_entropy"' in page
    assert 'href="reference/equations.html"' in page


# --- what lies on the site ---


def test_the_notebooks_of_the_chapters_can_be_downloaded_and_no_other_source(site):
    """What an instructor removes from a page must not lie beside it."""
    offered = {path.name: path for path in (site / "_downloads").glob("*.ipynb")}
    assert sorted(offered) == [f"{path.stem}.ipynb" for path in chapters()]
    for name, path in offered.items():
        assert path.read_bytes() == (BOOK / name).read_bytes()
        tags = {tag for cell in json.loads(path.read_text())["cells"] for tag in cell["metadata"].get("tags", [])}
        assert [tag for tag in tags if tag.startswith(("remove-", "hide-"))] == []
    others = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    others -= {f"_downloads/{name}" for name in offered}
    assert [name for name in others if name.endswith((".ipynb", ".py", ".md"))] == []
    assert [name for name in others if name.startswith("_sources/")] == []


def test_every_link_of_the_site_leads_to_a_file(site):
    dead = []
    for page in [*site.glob("*.html"), *site.glob("reference/*.html")]:
        for link in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text()):
            if not re.match(r"\w+:", link) and not (page.parent / html.unescape(link)).exists():
                dead.append(f"{page.name}: {link}")
    assert dead == []


# --- differences quoted in prose ---


def test_a_quoted_difference_is_that_of_the_recording_and_follows_it():
    arms = recording()["arms"]
    assert quotes.effect({"pair.json": recording()}, "pair: together - alone, top1") == (
        "+2.00\u00a0±\u00a00.00\u00a0points (higher in 2 of 2)"
    )
    arms[1]["top1"] = [[0.5, 0.75], [0.5, 0.77]]
    changed = quotes.effect({"pair.json": recording(arms=arms)}, "pair: together - alone, top1")
    assert changed.startswith("−5.50\u00a0±") and changed.endswith("(lower in 2 of 2)")


def test_a_quote_of_runs_that_are_equal_says_so():
    arms = recording()["arms"]
    arms[1]["top1"] = arms[0]["top1"]
    quoted = quotes.effect({"pair.json": recording(arms=arms)}, "pair: together - alone, top1")
    assert quoted == "0\u00a0points in each of 2 seeds"


def test_a_quote_of_a_single_seed_has_no_interval_and_says_so():
    arms = [{**arm, "top1": arm["top1"][:1]} for arm in recording()["arms"]]
    quoted = quotes.effect({"pair.json": recording(seeds=[0], arms=arms)}, "pair: together - alone, top1")
    assert quoted == "+2.00\u00a0points (one seed)"


def test_a_quote_may_be_of_one_peer_of_each_arm():
    arms = recording()["arms"]
    arms[0]["top1"], arms[1]["top1"] = [[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.52], [0.9, 0.54]]
    quoted = quotes.effect({"pair.json": recording(arms=arms)}, "pair: together - alone, top1 of peer 1")
    assert quoted.startswith("+3.00\u00a0±") and quoted.endswith("(higher in 2 of 2)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pair, together", "write recording: arm - baseline, metric; there are pair.json"),
        ("other: together - alone, top1", "there are pair.json"),
        ("pair: together - nobody, top1", "arm 'nobody' is not recorded"),
        ("pair: together - alone, speed", "arm 'together' has no metric 'speed' recorded"),
    ],
)
def test_a_quote_of_what_is_not_recorded_is_refused(text, message):
    with pytest.raises(DmlTeachError, match=message):
        quotes.effect({"pair.json": recording()}, text)


def test_what_a_comparison_could_have_shown_is_in_a_table():
    arms = recording()["arms"]
    arms[1]["top1"] = [[0.61, 0.75], [0.65, 0.77]]  # differences of .5 and 1.5 points
    table = quotes.power({"pair.json": recording(arms=arms)}, ["pair: together - alone, top1"])
    least = comparison.detectable(0.01 / 2**0.5, 2)
    assert f"| `pair` | together − alone, top1 | 2 | 0.71 points | {100 * least:.2f} points |" in table


def test_numbers_of_what_we_found_are_read_from_recordings(site):
    page = text_of(site / "reference" / "what_we_found.html")
    source = (BOOK / "reference" / "what_we_found.md").read_text()
    found = tables.recordings_in(BOOK / "recordings")
    quoted = re.findall(r"{ours}`([^`]+)`", source)
    assert len(quoted) > 20
    assert [text for text in quoted if quotes.effect(found, text) not in page] == []


# --- what has not been run ---


def planned(name: str, seeds: int, like: str | None = None, **changes):
    """An experiment of the networks, methods and images of `recording`, by its name."""
    pair = ("mobilenet", "wrn28_10")
    arms = [Arm("alone", pair, every_size=True), Arm("together", pair, "mutual")]
    asked = Experiment(name, "why?", "cifar100", LAPTOP.with_(**changes), tuple(arms), subset=1000)
    return costs.Planned(asked, seeds, like)


def test_recordings_that_are_missing_are_counted_at_the_speed_of_those_that_are_there():
    """The recorded one has one seed of three, whose quicker runs took half an hour and an hour; the missing one twice
    its epochs."""
    arms = recording()["arms"][:2]
    arms[0]["name"], arms[0]["seconds"], arms[1]["seconds"] = "alone-2", [1800, 9000], [9000, 3600]
    found = {"pair.json": recording(arms=[{**arms[0], "name": "alone-1", "seconds": [1, 1]}, *arms])}
    plans = {"pair": planned("pair", 3), "longer": planned("longer", 4, "pair", epochs=30), "done": planned("done", 2)}
    found["done.json"] = recording()
    rows = costs.left_to_do(found, plans).splitlines()[2:]
    facts = sets.FACTS["cifar100"]
    each = sum(reproduced.training_flops(name, {}, facts) for name in ("mobilenet", "wrn28_10"))
    seed = 2 * 15 * 1000 * each / 1e12
    assert [row.split(" | ")[0] for row in rows] == ["| `pair`", "| `longer`"]
    assert rows[0].endswith(f" 15 | 2 of 3 | {tables.thousands(round(seed))} | 1.5 |")
    assert rows[1].endswith(f" 30 | none of 4 | {tables.thousands(round(4 * 2 * seed))} | 12.0 |")


def test_a_cost_that_nothing_tells_is_refused():
    with pytest.raises(DataError, match=r"pair\.json: not recorded, and its plan names no recording"):
        costs.left_to_do({}, {"pair": planned("pair", 3)})


def test_a_recording_of_fewer_seeds_says_what_the_others_would_cost(site, fork):
    before, after = (text_of(folder / "reference" / "what_we_found.html") for folder in (site, fork))
    missing = [page.partition("What has not been run")[2] for page in (before, after)]
    assert ["2 of 6" in each for each in missing] == [False, True]
