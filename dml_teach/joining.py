"""Seeds that are added to a recording: two recordings of one experiment as one."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from dml_teach.errors import RunError
from dml_teach.recipes import Recipe
from dml_teach.recordings import folded

SETTINGS = ("name", "peers", "topology", "changes", "teachers")  # of an arm; what else it holds is of its seeds


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two recordings of one experiment as one, with the seeds of the first and then those of the second.

    Raises:
        RunError: they share a seed, or differ in what they asked, in the recipe, the data or a method.
    """
    if both := set(first["seeds"]) & set(second["seeds"]):
        raise RunError(f"recording '{first['experiment']}' has seed {min(both)} already; leave it out of the new one")
    one, other = _settings(first), _settings(second)
    for field in {**one, **other}:
        if one.get(field) != other.get(field):
            raise RunError(f"recording '{first['experiment']}' can not be joined with one of another {field}")
    return {
        **first,
        "seeds": [*first["seeds"], *second["seeds"]],
        "data": {**first["data"], "sha256": _digests(first, second)},
        "provenance": folded([*first["provenance"], *second["provenance"]]),
        "arms": [_appended(*arms) for arms in zip(first["arms"], second["arms"], strict=True)],
    }


def recipe_of(recorded: Mapping[str, Any]) -> Recipe:
    """The recipe of a recording; a field that recipes have got since it was made had its default then.

    Raises:
        RunError: it has a field that recipes have not.
    """
    unknown = recorded["recipe"].keys() - {field.name for field in dataclasses.fields(Recipe)}
    if unknown:
        raise RunError(
            f"recording '{recorded['experiment']}' has '{min(unknown)}' in its recipe, which is no field of one; it is"
            " from another version of dml_teach, so make it anew with this one"
        )
    return Recipe(**recorded["recipe"])


def _settings(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What recordings of one experiment have in common, by the name of the field. Wrong labels are drawn anew for each
    seed, and are then no part of it."""
    recipes = [recorded["recipe"], *(arm["changes"] for arm in recorded["arms"])]
    noisy = any(recipe.get("label_noise") for recipe in recipes)
    fields = {
        "experiment": recorded["experiment"],
        "question": recorded["question"],
        "recipe": vars(recipe_of(recorded)),
        "data": {**recorded["data"], "sha256": None if noisy else recorded["data"]["sha256"]},
        "list of methods": [arm["name"] for arm in recorded["arms"]],
        **{
            f"method '{arm['name']}'": [{name: arm[name] for name in SETTINGS}, sorted(arm), sorted(arm["curves"])]
            for arm in recorded["arms"]
        },
    }
    return dict(json.loads(json.dumps(fields)))  # tuples, as they are read


def _appended(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """An arm with the seeds of two recordings."""
    return {
        **{name: value if name in SETTINGS else [*value, *second[name]] for name, value in first.items()},
        "curves": {name: [*curve, *second["curves"][name]] for name, curve in first["curves"].items()},
    }


def _digests(*recorded: Mapping[str, Any]) -> str | list[str]:
    """Those of the data of recordings: one, or a list if they differ."""
    every = [each["data"]["sha256"] for each in recorded]
    single = dict.fromkeys(digest for one in every for digest in (one if isinstance(one, list) else [one]))
    return list(single) if len(single) > 1 else next(iter(single))
