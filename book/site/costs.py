"""What recordings that do not exist yet would cost, counted from the experiments that are planned."""

from collections.abc import Mapping
from typing import Any

from book_experiments import Planned
from tables import markdown, thousands

from dml_teach.errors import DataError
from dml_teach.reproduce import cost

Recordings = Mapping[str, Mapping[str, Any]]


def left_to_do(found: Recordings, planned: Mapping[str, Planned]) -> str:
    """Every planned experiment with seeds that are not recorded: what it is, and what these seeds would cost.

    Args:
        found: the recordings by file name.
        planned: experiments by name; a recording of one is called like it.
    """
    rows = [["recording", "methods", "images", "epochs", "seeds", "TFLOP", "hours"]]
    rows.append(["---", "--:", "--:", "--:", "--:", "--:", "--:"])
    for name, plan in planned.items():
        done = len(found.get(f"{name}.json", {}).get("seeds", ()))
        if plan.folders or done >= plan.seeds:
            continue
        experiment, left = plan.experiment, plan.seeds - done
        rows.append(
            [
                *(f"`{name}`", str(len(experiment.arms)), thousands(cost.training_images(experiment))),
                *(str(experiment.recipe.epochs), f"{done or 'none'} of {plan.seeds}"),
                *(thousands(round(left * tflop(plan))), f"{left * hours(name, found, planned):.1f}"),
            ]
        )
    return markdown(rows)


def tflop(plan: Planned) -> float:
    """10^12 operations of one seed of all methods."""
    return sum(cost.tflop(plan.experiment, arm) for arm in plan.experiment.arms)


def hours(name: str, found: Recordings, planned: Mapping[str, Planned]) -> float:
    """Hours that a seed of all methods takes on one core: those recorded of it, or at the speed of what it is like.

    Raises:
        DataError: neither is recorded.
    """
    plan = planned[name]
    if f"{name}.json" not in found:
        if plan.like is None:
            raise DataError(f"{name}.json: not recorded, and its plan names no recording that it is like")
        return tflop(plan) / tflop(planned[plan.like]) * hours(plan.like, found, planned)
    arms = {arm["name"]: min(arm["seconds"]) for arm in found[f"{name}.json"]["arms"]}  # of its least busy seed
    every = plan.experiment.arms
    return sum(arms[f"{arm.name}-{len(arm.peers)}" if arm.every_size else arm.name] for arm in every) / 3600
