"""A course of one small exercise with two tasks and a question, and what students hand in for it."""

import textwrap
from pathlib import Path

HEADER = """\
# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""
MASTER = (
    HEADER
    + '''\
# %% [markdown]
# # Exercise 04: Marbles

# %%
import math

LIMIT = 1000

# %% task="count_marbles"
def count_marbles(bags: list[int]) -> int:
    """How many marbles there are in all bags, at most LIMIT."""
    ### BEGIN SOLUTION
    altogether_in_bags = sum(max(bag, 0) for bag in bags)
    return min(altogether_in_bags, LIMIT)
    ### END SOLUTION

# %% test="count_marbles" points=4
assert count_marbles([1, 2]) == 3, "1 + 2 marbles are 3"
### BEGIN HIDDEN TESTS
assert count_marbles([700, 800]) == 1000, "more than LIMIT were counted"
### END HIDDEN TESTS

# %% [markdown]
# ## The second

# %% task="root_of_marbles"
def root_of_marbles(marbles: int) -> float:
    """The square root of their number."""
    ### BEGIN SOLUTION
    square_root_wanted = math.sqrt(marbles)
    return square_root_wanted
    ### END SOLUTION

# %% test="root_of_marbles" points=2
assert root_of_marbles(9) == 3, "the root of 9 is 3"

# %%
print("ten bags hold", count_marbles([11] * 10), "marbles")

# %% [markdown]
# ## Why a limit?
# One point each for bags and for marbles.

# %% [markdown] question="why_a_limit" points=3
# ### BEGIN SOLUTION
# Because the carrier of the marbles collapses beyond it.
# ### END SOLUTION
'''
)


def course(folder: Path, **masters: str) -> Path:
    """A folder with masters, by default the one above."""
    (folder / "solutions").mkdir(parents=True, exist_ok=True)
    for name, text in (masters or {"sol_04_marbles": MASTER}).items():
        (folder / "solutions" / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


def code(text: str) -> str:
    return textwrap.dedent(text).strip("\n")
