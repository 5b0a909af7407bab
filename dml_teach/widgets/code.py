"""The widgets' own code, JavaScript and CSS, as it travels with each of them.

A widget is one module. It is put together here from files of `static/`, which share one scope: those that only compute
name what they compute with `export`, so that a test can ask the very module that is shipped.
"""

import inspect
from functools import cache
from pathlib import Path
from typing import TypeVar

Widget = TypeVar("Widget", bound=type)
STATIC = Path(__file__).resolve().parent / "static"


@cache
def module(*names: str) -> str:
    """The JavaScript files of these names, one after the other."""
    return "\n".join((STATIC / f"{name}.js").read_text(encoding="utf-8") for name in names)


@cache
def style() -> str:
    """The CSS, one for all widgets, so that several on a page look alike and do not quarrel."""
    return (STATIC / "widgets.css").read_text(encoding="utf-8")


def explained(widget: Widget) -> Widget:
    """A class decorator: help shows the arguments of `__init__`, which traitlets hides behind its own."""
    signature = inspect.signature(widget.__init__)  # type: ignore[misc]
    widget.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return widget
