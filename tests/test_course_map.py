"""The map of the course: every chapter is on it, under its title, and the picture in the book is up to date."""

import re

import numpy as np
import pytest
from PIL import Image

from tools import course_map
from tools.notebooks import BOOK, ROOT, chapters

MAP = course_map.CHAPTERS


def title(source) -> str:
    """A chapter's title, from its first heading."""
    return re.search(r"^# # \d\d · (.+)$", source.read_text(encoding="utf-8"), re.M)[1]


@pytest.mark.parametrize("source", chapters(), ids=lambda source: source.stem)
def test_every_chapter_is_on_the_map_under_its_title(source):
    assert MAP[source.stem[:2]].title == title(source)


def test_the_mark_of_an_exercise_is_on_the_chapters_that_have_one():
    marked = {number for number, chapter in MAP.items() if chapter.exercise}
    assert marked == {path.stem[3:5] for path in (ROOT / "exercises").glob("ex_*.py")}


def test_every_chapter_but_the_first_is_led_into_once_from_one_before_it():
    assert sorted(b for _, b in course_map.NEXT) == sorted(set(MAP) - {"00"})
    assert all(a < b for a, b in course_map.NEXT)


def test_the_picture_in_the_book_shows_what_the_program_draws(tmp_path):
    fresh = tmp_path / "map.png"
    assert course_map.main(["--out", str(fresh)]) == 0
    with Image.open(fresh) as drawn, Image.open(course_map.FILE) as stored:
        assert stored.info["Description"] == drawn.info["Description"] == course_map.words()
        assert stored.size == drawn.size
        apart = np.abs(np.asarray(stored.convert("L"), float) - np.asarray(drawn.convert("L"), float))
    assert apart.mean() < 0.1  # of 255; one subtitle with other words is .14


def test_no_two_boxes_cover_each_other_and_all_lie_on_the_picture():
    width, height = course_map.BOX
    places = [chapter.place for chapter in MAP.values()]
    assert all(0 <= x <= course_map.WIDTH - width and 0 <= y <= course_map.HEIGHT - height for x, y in places)
    pairs = [(a, b) for n, a in enumerate(places) for b in places[n + 1 :]]
    assert all(abs(a[0] - b[0]) >= width or abs(a[1] - b[1]) >= height for a, b in pairs)


@pytest.mark.parametrize("page", [BOOK / "index.md", BOOK / "00_welcome.py"], ids=lambda page: page.name)
def test_the_map_is_shown_with_words_for_all_of_its_chapters(page):
    alt = re.search(r"!\[([^\]]+)\]\(figures/course_map\.png\)", page.read_text(encoding="utf-8"))[1]
    for number, chapter in MAP.items():
        assert f"{number} {chapter.title}" in alt


def test_the_map_is_the_first_picture_of_the_book():
    assert re.search(r"!\[[^\]]+\]\(([^)]+)\)", (BOOK / "index.md").read_text())[1] == "figures/course_map.png"
