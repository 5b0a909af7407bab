"""Markers: what is found between them, and every way in which they can be wrong, with file and line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dml_teach.classroom.markers import HIDDEN_TESTS, SOLUTION, Region, bare, hidden_lines, regions, without
from dml_teach.errors import DataError

GOOD = """\
def f():
    ### BEGIN SOLUTION
    return 1
    ### END SOLUTION
# ### BEGIN SOLUTION
# words
# ### END SOLUTION
### BEGIN HIDDEN TESTS
assert f() == 1
### END HIDDEN TESTS
"""
WRONG = {
    "never closed": ("a\n### BEGIN SOLUTION\nb\n", "2: BEGIN SOLUTION is never closed"),
    "never opened": ("a\n### END SOLUTION\n", "2: END SOLUTION without its BEGIN"),
    "nested": (
        "### BEGIN SOLUTION\nb\n### BEGIN SOLUTION\nc\n### END SOLUTION\n",
        "3: BEGIN SOLUTION inside the SOLUTION of line 1",
    ),
    "nested kinds": (
        "### BEGIN SOLUTION\nb\n### BEGIN HIDDEN TESTS\n",
        "3: BEGIN HIDDEN TESTS inside the SOLUTION of line 1",
    ),
    "crossed": (
        "### BEGIN SOLUTION\nb\n### END HIDDEN TESTS\n",
        "3: END HIDDEN TESTS inside the SOLUTION of line 1",
    ),
    "empty": ("### BEGIN SOLUTION\n### END SOLUTION\n", "2: nothing between"),
    "out of the cell": ("### BEGIN SOLUTION\nb\n# %%\n### END SOLUTION\n", "3: the cell ends inside"),
    "two hashes": ("## BEGIN SOLUTION\nb\n", "1: '## BEGIN SOLUTION' is no marker"),
    "plural": ("### BEGIN SOLUTIONS\nb\n", "1: '### BEGIN SOLUTIONS' is no marker"),
    "small": ("### begin solution\nb\n", "is no marker"),
    "singular": ("### BEGIN HIDDEN TEST\n", "is no marker"),
    "more after it": ("### BEGIN SOLUTION here\n", "is no marker"),
    "after code": ("x = 1  ### END SOLUTION\n", "is no marker"),
}


def test_regions_are_found_with_their_lines_and_margins():
    assert regions(GOOD, "m.py") == [
        Region(SOLUTION, 2, 4, "    "),
        Region(SOLUTION, 5, 7, "# "),
        Region(HIDDEN_TESTS, 8, 10, ""),
    ]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_marker_is_told_with_file_and_line(name):
    text, says = WRONG[name]
    with pytest.raises(DataError, match=r"^m\.py:") as caught:
        regions(text, "m.py")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_region_gets_its_substitute_at_its_margin():
    assert without(GOOD, "m.py", {SOLUTION: "stub", HIDDEN_TESTS: None}) == "def f():\n    stub\n# stub\n"


def test_a_kind_that_is_not_named_stays_with_its_markers():
    assert "### BEGIN HIDDEN TESTS\nassert f() == 1\n" in without(GOOD, "m.py", {SOLUTION: None})


def test_without_its_markers_a_master_runs_as_the_solution():
    space = {}
    exec(bare(GOOD), space)
    assert space["f"]() == 1
    assert "###" not in bare(GOOD)


def test_hidden_lines_are_those_between_markers():
    assert [(number, line) for number, _, line in hidden_lines(GOOD, "m.py")] == [
        (3, "    return 1"),
        (6, "# words"),
        (9, "assert f() == 1"),
    ]


LINES = st.sampled_from(
    ["x", "# %%", *(f"### {word} {kind}" for word in ("BEGIN", "END") for kind in (SOLUTION, HIDDEN_TESTS))]
)


@given(st.lists(LINES, max_size=12))
def test_markers_are_taken_or_refused_but_never_left_in_what_is_handed_out(lines):
    text = "\n".join(lines) + "\n"
    try:
        handed_out = without(text, "m.py", {SOLUTION: "stub", HIDDEN_TESTS: None})
    except DataError as error:
        assert str(error).startswith("m.py:")
    else:
        assert "###" not in handed_out
        assert handed_out.count("stub") == text.count("BEGIN SOLUTION")
