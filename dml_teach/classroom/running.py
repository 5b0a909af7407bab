"""Running what a student wrote within bounds: of time, of memory, of what it prints.

The work runs in a thread of its own while the caller waits, which works in the main thread of a kernel as anywhere
else, and on every system. When a bound is passed, an exception is raised in that thread. Python delivers it between
two of its own instructions: an endless loop stops, one endless call into C does not, and is left behind.
"""

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

SECONDS = 20.0
MEGABYTES = 2000.0
PRINTED = 20_000  # characters
GRACE = 2.0  # seconds in which work that catches the first exception gets more of them
STATM = Path("/proc/self/statm")


class OutOfBounds(BaseException):
    """A bound was passed; no `Exception`, so that a student's `except Exception` does not hold it up."""

    says = ""


class TooLong(OutOfBounds):
    """The time is up."""


class TooLarge(OutOfBounds):
    """The memory of the process has grown too much."""


class TooMuchPrinted(OutOfBounds):
    """A flood of prints."""


@dataclass
class Outcome:
    """What came of the work: its value, or what it raised; what it printed; whether its thread was left behind."""

    value: Any = None
    error: BaseException | None = None
    printed: str = ""
    left_behind: bool = False


class Gate:
    """Stands in for stdout and stderr: keeps what one thread writes, up to a limit, and lets everybody else's pass."""

    def __init__(self, stream: TextIO, kept: list[str]) -> None:
        self._stream = stream
        self._kept = kept
        self._thread = -1

    def watch(self, thread: int) -> None:
        """Keep what this thread writes from now on."""
        self._thread = thread

    def write(self, text: str) -> int:
        """Keep it or pass it on."""
        if threading.get_ident() != self._thread:
            return self._stream.write(text)
        room = PRINTED - sum(map(len, self._kept))
        self._kept.append(text[: max(room, 0)])
        if len(text) > room:
            raise TooMuchPrinted
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def bounded(work: Callable[[], Any], seconds: float | None = None, megabytes: float | None = None) -> Outcome:
    """Run `work` in a thread until it ends or passes a bound.

    Bounds that are not given come from DML_TEACH_CHECK_SECONDS and DML_TEACH_CHECK_MEGABYTES, or are 20 and 2000.
    Memory is watched where the system tells it (Linux).
    """
    seconds = _bound("SECONDS", SECONDS) if seconds is None else seconds
    megabytes = _bound("MEGABYTES", MEGABYTES) if megabytes is None else megabytes
    outcome, kept = Outcome(), list[str]()
    gates = [Gate(sys.stdout, kept), Gate(sys.stderr, kept)]

    def run() -> None:
        for gate in gates:
            gate.watch(threading.get_ident())
        try:
            outcome.value = work()
        except BaseException as error:  # a student's SystemExit or worse must not get away
            outcome.error = error

    thread = threading.Thread(target=run, name="check", daemon=True)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = gates
    try:
        thread.start()
        _wait(thread, seconds, megabytes)
    finally:
        outcome.left_behind = thread.is_alive()
        if not outcome.left_behind:  # else its prints would come through: the gates stay where they are
            sys.stdout, sys.stderr = before
    outcome.printed = "".join(kept)
    if outcome.left_behind:
        outcome.error = TooLong()
    return outcome


def _bound(name: str, default: float) -> float:
    try:
        return float(os.environ[f"DML_TEACH_CHECK_{name}"])
    except (KeyError, ValueError):
        return default


def _wait(thread: threading.Thread, seconds: float, megabytes: float) -> None:
    start, used = time.monotonic(), _memory()
    try:
        while thread.is_alive():
            thread.join(0.02)
            if time.monotonic() - start > seconds:
                return _stop(thread, TooLong)
            if _memory() - used > megabytes:
                return _stop(thread, TooLarge)
    except BaseException:  # the learner pressed stop
        _stop(thread, TooLong)
        raise


def _stop(thread: threading.Thread, reason: type[OutOfBounds]) -> None:
    """Raise in the thread, again and again, since what it runs may catch it."""
    end = time.monotonic() + GRACE
    while thread.is_alive() and time.monotonic() < end:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(reason))
        thread.join(0.1)


def _memory() -> float:
    """Resident memory of this process in megabytes; 0 where the system does not tell."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, AttributeError):
        return 0.0


@contextlib.contextmanager
def no_way_out() -> Iterator[None]:
    """exit() and quit() in a notebook end its kernel without an exception; within, they raise one."""
    found = sys.modules.get("IPython")
    shell: Any = found.get_ipython() if found is not None else None
    if shell is None:
        yield
        return

    def refuse() -> None:
        raise SystemExit

    shell.ask_exit = refuse
    try:
        yield
    finally:
        del shell.ask_exit


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever happens inside, the global random numbers and PyTorch's defaults are afterwards as they were."""
    import random

    import numpy as np
    import torch

    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)
