"""The cheat sheet says in short what other pages and the library say, and nothing else."""

import re

import pytest

from dml_teach import topology
from dml_teach.recipes import CLASSROOM, PAPER_CIFAR100
from tools.notebooks import BOOK

REFERENCE = BOOK / "reference"
SHEET = (REFERENCE / "cheat_sheet.md").read_text()


def cells(text: str) -> list[list[str]]:
    """The rows of all tables of a page, as their cells."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:2] == "| "]


def section(title: str) -> str:
    """The sheet's section of that title."""
    return SHEET.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_equation_of_the_sheet_and_its_function_stand_on_the_page_of_equations():
    there = {tuple(row[:2]) for row in cells((REFERENCE / "equations.md").read_text())}
    mine = [tuple(row) for row in cells(section("Equations and functions")) if "{py:" in row[1]]
    assert len(mine) >= 10
    assert [row for row in mine if row not in there] == []


def test_every_topology_of_the_sheet_is_one_of_the_librarys_and_none_is_missing():
    named = set(re.findall(r"~dml_teach\.topology\.(\w+)`", section("Who learns from whom")))
    assert {function.__name__ for function in topology.BY_NAME.values()} <= named
    assert all(callable(getattr(topology, name)) for name in named)


def test_the_values_of_both_recipes_are_those_of_the_library():
    rows = [row for row in cells(section("A recipe's defaults")) if row[0].startswith("`")]
    assert len(rows) >= 8
    for field, *values in rows:
        recipes = (CLASSROOM, PAPER_CIFAR100)
        assert values == [str(getattr(recipe, field.strip("`"))) for recipe in recipes], field


@pytest.mark.parametrize("page", [BOOK / "index.md", BOOK / "00_welcome.py"], ids=lambda page: page.name)
def test_the_front_pages_lead_to_the_sheet(page):
    assert "](reference/cheat_sheet.md)" in page.read_text()


def test_the_sheet_is_in_the_table_of_contents():
    assert "\nreference/cheat_sheet\n" in (BOOK / "index.md").read_text()
