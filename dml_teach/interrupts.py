"""Stopping at a good moment: a signal is noted, and the work looks at the note when it can stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def noted() -> Iterator[list[int]]:
    """Inside, the first SIGINT or SIGTERM only puts its number into the list; a second one has its usual effect.

    A signal that comes too late to be heeded, as the work ends of itself, has its usual effect after it. In any thread
    but the main one, where Python sets no handlers, nothing is noted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    numbers: list[int] = []
    usual = {number: signal.getsignal(number) for number in STOPPING}

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def note(number: int, frame: FrameType | None) -> None:
        numbers.append(number)
        restore()

    for number in STOPPING:
        signal.signal(number, note)
    try:
        yield numbers
    finally:
        restore()
    if numbers:
        signal.raise_signal(numbers[0])
