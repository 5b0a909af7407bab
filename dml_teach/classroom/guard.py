"""What stands between a submission and its tests, in the submission's own kernel.

A student's code and the tests share one process, as in nbgrader. `Guard` is made before the first line of the student's
code; it remembers what functions the library and the tests rely on, puts back what was changed, and runs each test in a
namespace of its own, where names that the student bound mean nothing but the function under test. That stops the usual
tricks and every accident. It is no wall: code that sets out to find the guard in memory can.
"""

import ast
import builtins
import inspect
import operator
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from dml_teach.classroom import registry

PROTECTED = {
    *("builtins", "math", "random", "numpy", "numpy.linalg", "numpy.random"),
    *("torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.testing"),
}
"""Modules that tests rely on; besides, all that a module of the library has imported by name."""
HOUSE = "dml_teach"
PROOF = "application/x-dml-teach-proof+json"
HIDDEN = "a hidden test"
CHANGING = {
    *("builtins.input", "builtins.display", "builtins.get_ipython"),
    *("sys.excepthook", "sys.displayhook", "sys.unraisablehook", "warnings.showwarning", "threading.excepthook"),
}
"""What the kernel sets anew for each cell, or may."""


class NotPassed(AssertionError):
    """A test of the grading did not pass; the message says which and why."""


class Guard:
    """Made before the student's code runs.

    Args:
        imports: import statements of the cells that students are given; tests see these names as they were.
        variables: environment variables to set anew before each test.
    """

    def __init__(self, imports: str, variables: dict[str, str]) -> None:
        self._own: dict[str, Any] = {"__name__": "__tests__"}
        exec(imports, self._own)
        self._variables, self._folder = dict(variables), Path.cwd()
        self._builtins = dict(vars(builtins))
        # Checks load their tasks when they are first used, which is after this; an exercise without any needs none.
        self._saved = list(_places(registry.by_name() if HOUSE in imports else {}))
        self._names = list(_names())
        self._compile, self._exec, self._parse = compile, exec, ast.parse
        self._publish = get_ipython().display_pub.publish  # type: ignore[name-defined]  # noqa: F821

    def test(self, source: str, hidden: str, tested: list[str], names: dict[str, Any], proof: str) -> None:
        """Run a test cell and then its hidden part; publish `proof` if all of it passes.

        Args:
            source: the part that students see; a bare call whose result has a false `passed` fails.
            hidden: the part that they do not see.
            tested: names of the functions that the student wrote.
            names: the student's namespace.
            proof: what nobody can know who has not come to the end of this function.

        Raises `NotPassed`.
        """
        changed = self.restore()
        if changed:
            self._publish({PROOF: {"restored": changed}})
        space = dict(self._own)
        nodes = [node for part in (source, hidden) for node in ast.walk(self._parse(part))]
        wanted = {node.id for node in nodes if isinstance(node, ast.Name)}
        for name in wanted:
            if name in tested or (name not in space and name not in self._builtins):
                if name in names:
                    space[name] = names[name]
                elif name in tested:
                    raise NotPassed(f"{name} is not defined") from None
        for part, told in ((source, ""), (hidden, HIDDEN)):
            self._run(part, told, space)
            if part is source:  # as if it had run where the student is
                names.update((name, space[name]) for name in _bound(self._parse(part)) if name in space)
        if changed := self.restore():  # by the function under test itself, or by a thread that goes on
            raise NotPassed(f"{changed[0]} was replaced while it was tested")
        self._publish({PROOF: {"passed": proof}})

    def _run(self, source: str, told: str, space: dict[str, Any]) -> None:
        tree = self._parse(source)
        for statement in tree.body:
            try:
                if isinstance(statement, ast.Expr):
                    outcome = eval(self._compile(ast.Expression(statement.value), "<test>", "eval"), space)
                    failed = not getattr(outcome, "passed", True)
                else:
                    self._exec(self._compile(ast.Module([statement], []), "<test>", "exec"), space)
                    failed = False
            except BaseException as error:
                raise NotPassed(": ".join(filter(None, (told, _words(error))))) from None
            if failed:
                raise NotPassed(told or "the checker did not accept it; its words stand above") from None

    def restore(self) -> list[str]:
        """Put back what was changed since the guard was made; returns the names, for the instructor."""
        sys.settrace(None)
        sys.setprofile(None)
        os.environ.update(self._variables)
        os.chdir(self._folder)
        if torch := sys.modules.get("torch"):
            torch.set_default_dtype(torch.float32)
            torch.set_grad_enabled(True)
        changed = []
        for label, get, put, value in self._saved:
            now = get()
            if now is not value and not (isinstance(value, tuple) and _same(now, value)):
                put(value)
                if not _torchs_own(now, value):
                    changed.append(label)
        for label, owner, before in self._names:
            for name in set(vars(owner)) - before:
                if not isinstance(owner, ModuleType) or name in self._builtins:
                    delattr(owner, name)
                    changed.append(f"{label}.{name}")
        return changed


def _torchs_own(now: Any, before: Any) -> bool:
    """Whether PyTorch has put a function of its own around another, as it does with the steps of optimizers."""
    home = str(Path(sys.modules["torch"].__file__ or "").parent) if "torch" in sys.modules else "?"
    code = getattr(now, "__code__", None)
    return getattr(now, "__wrapped__", None) is before and code is not None and code.co_filename.startswith(home)


def _names() -> Iterator[tuple[str, Any, set[str]]]:
    """The modules, classes and objects of the library, and PyTorch's tensor, with the names that they have.

    A new name in an object hides one of its class's, in a class one of its parents', in a module one of Python's own.
    """
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and (name == HOUSE or name.startswith(HOUSE + ".")):
            yield name, module, set(vars(module))
            for key, value in list(vars(module).items()):
                ours = value.__module__ == name if isinstance(value, type) else _is_ours(value)
                if ours and hasattr(value, "__dict__"):
                    yield f"{name}.{key}", value, set(vars(value))
    if torch := sys.modules.get("torch"):
        yield "torch.Tensor", torch.Tensor, set(vars(torch.Tensor))


def _same(now: Any, before: tuple[Any, ...]) -> bool:
    """Whether two sequences hold the same things, not things that say that they are equal."""
    return type(now) is tuple and len(now) == len(before) and all(map(operator.is_, now, before))


def _bound(tree: ast.Module) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def _words(error: BaseException) -> str:
    """An error in one line, with the student's own line where it has one."""
    if isinstance(error, KeyboardInterrupt):
        return "took too long and was stopped"
    said = f"{type(error).__name__}: {error}" if type(error) is not AssertionError else str(error) or "not true"
    own = (
        [frame for frame in inspect.getinnerframes(error.__traceback__) if "ipykernel" in frame.filename]
        if error.__traceback__
        else []
    )
    line = (own[-1].code_context or [""])[0].strip() if own else ""
    return f"{said} (in your line: {line})" if line else said


Place = tuple[str, Callable[[], Any], Callable[[Any], None], Any]


def _places(checks: dict[str, Any]) -> Iterator[Place]:
    """Everything that can be put back: what it is called, how to read it, how to write it, what it was."""
    house = [module for name, module in list(sys.modules.items()) if name == HOUSE or name.startswith(HOUSE + ".")]
    used = {one.__name__ for module in house for one in vars(module).values() if isinstance(one, ModuleType)}
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or not (module in house or name in PROTECTED | used):
            continue
        yield f"sys.modules[{name!r}]", _reader(sys.modules, name), _writer(sys.modules, name), module
        yield from _entries(name, module.__dict__)
    met: set[int] = set()
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and name.startswith(HOUSE + "."):
            for key, value in list(module.__dict__.items()):
                if not key.startswith("__"):
                    yield from _insides(f"{name}.{key}", value, met)
    yield from _insides("checks", checks, met)
    if torch := sys.modules.get("torch"):
        yield from _attributes("torch.Tensor", torch.Tensor)


def _insides(label: str, value: Any, met: set[int]) -> Iterator[Place]:
    """What a function, a class, a table or an object of the library is made of, and what those are made of."""
    ours = str(getattr(value, "__module__", "")).startswith(HOUSE) or type(value).__module__.startswith(HOUSE)
    if id(value) in met or not (ours or isinstance(value, dict | list | tuple)):
        return
    met.add(id(value))
    inner: list[tuple[str, Any]] = []
    if isinstance(value, FunctionType):
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            yield f"{label}.{part}", _getter(value, part), _setter(value, part), getattr(value, part)
        inner = [("__wrapped__", getattr(value, "__wrapped__", None))]
    elif isinstance(value, type):
        yield from _attributes(label, value)
        inner = list(vars(value).items())
    elif isinstance(value, list):
        yield f"{label}[:]", _itself(value), _slice(value), tuple(value)
        inner = [(str(number), one) for number, one in enumerate(value)]
    elif isinstance(value, tuple):
        inner = [(str(number), one) for number, one in enumerate(value)]
    elif isinstance(value, dict):
        yield from _entries(label, value)
        inner = [(str(key), one) for key, one in value.items()]
    elif hasattr(value, "__dict__"):
        yield from _entries(label, vars(value))
        inner = list(vars(value).items())
    for key, one in inner:
        yield from _insides(f"{label}.{key}", one, met)


def _entries(label: str, table: dict[Any, Any]) -> Iterator[Place]:
    for key, value in list(table.items()):
        kept = callable(value) or isinstance(value, ModuleType | list | tuple | dict) or _is_ours(value)
        if kept and not str(key).startswith("__") and f"{label}.{key}" not in CHANGING:
            yield f"{label}.{key}", _reader(table, key), _writer(table, key), value


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith(HOUSE)


def _attributes(label: str, owner: type) -> Iterator[Place]:
    for key, value in list(vars(owner).items()):
        if key not in ("__dict__", "__weakref__", "__doc__"):
            yield f"{label}.{key}", _reader(vars(owner), key), _setter(owner, key), value


def _reader(table: Any, key: Any) -> Callable[[], Any]:
    return lambda: table.get(key)


def _writer(table: Any, key: Any) -> Callable[[Any], None]:
    return lambda value: table.__setitem__(key, value)


def _getter(owner: Any, name: str) -> Callable[[], Any]:
    return lambda: getattr(owner, name)


def _setter(owner: Any, name: str) -> Callable[[Any], None]:
    return lambda value: setattr(owner, name, value)


def _itself(value: list[Any]) -> Callable[[], Any]:
    return lambda: tuple(value)


def _slice(value: list[Any]) -> Callable[[Any], None]:
    return lambda items: value.__setitem__(slice(None), items)
