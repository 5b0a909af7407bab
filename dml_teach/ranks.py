"""One of several ranks: whether this process is, and which of the others is lost.

A rank that can not go on leaves the cause in the store that torchrun keeps. One that was killed, or hangs, leaves
nothing; those that wait for it leave word that they do, so whoever has left none is the one that is missed. On the same
machine its process is looked up as well.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dml_teach.errors import RankError

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
GRACE = 5.0  # seconds in which all that wait have said so
MARKS = ("gloo", "nccl", "tcpstore", "connection reset by peer", "connection closed by peer", "broken pipe")
"""Words by which an error of a connection is told from one of the computation."""


def launched() -> bool:
    """Whether torchrun, or something that sets the same variables, has started this process as one of several ranks."""
    return all(name in os.environ for name in LAUNCHED)


def this() -> int:
    """The rank of this process; 0 for one by itself."""
    return int(os.environ["RANK"]) if launched() else 0


@contextmanager
def told(store: Any, rank: int, ranks: int, limit: float) -> Iterator[None]:
    """Inside, errors of the connection become a `RankError` that says which rank is lost; of others, the ranks learn.

    Args:
        store: of key and value, shared by the ranks.
        rank: of this process.
        ranks: how many there are.
        limit: how many seconds a rank waits for another.
    """
    if ranks > 1:
        store.set(f"process/{rank}", f"{os.getpid()} {socket.gethostname()}")
    try:
        yield
    except BaseException as error:
        if ranks == 1:
            raise
        if not of_connection(error):
            _leave_word(store, f"cause/{rank}", f"{type(error).__name__}: {error}".splitlines()[0])
            raise
        raise RankError(f"rank {rank} can not go on: {_why(store, rank, ranks, error, limit)}") from error


def of_connection(error: BaseException) -> bool:
    """Whether it is the connection between ranks that failed, not what this one computed."""
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(mark in words for mark in MARKS)


def _leave_word(store: Any, key: str, value: str) -> None:
    try:
        store.set(key, value)
    except RuntimeError:  # the store has gone with its rank: nobody is left to be told
        return


def _why(store: Any, rank: int, ranks: int, error: BaseException, limit: float) -> str:
    """What befell the others, from what they left in the store."""
    hung = "timed out" in str(error).lower()
    try:
        store.set(f"waiting/{rank}", "yes")
        silent = _silent(store, rank, ranks)
        for other in range(ranks):
            if other != rank and store.check([f"cause/{other}"]):
                return f"rank {other} ended with {store.get(f'cause/{other}').decode()}"
        dead = [other for other in silent if _died(store, other)]
    except RuntimeError as gone:
        return f"the store of the ranks is gone, and with it torchrun or rank 0 ({str(gone).splitlines()[0]})"
    if dead:
        return f"{_named(dead)} died"
    if silent:
        return f"{_named(silent)} " + (f"did not answer within {limit:g} seconds" if hung else "can not be reached")
    return f"the connection between the ranks failed ({str(error).splitlines()[0]})"


def _silent(store: Any, rank: int, ranks: int) -> list[int]:
    """The ranks that have left no word when time is up."""
    until = time.monotonic() + GRACE
    silent = [other for other in range(ranks) if other != rank]
    while silent and time.monotonic() < until:
        silent = [r for r in silent if not (store.check([f"waiting/{r}"]) or store.check([f"cause/{r}"]))]
        if silent and all(_died(store, other) for other in silent):
            break
        time.sleep(0.05)
    return silent


def _died(store: Any, rank: int) -> bool:
    """Whether the process of a rank on this machine has ended; of another machine's nothing is known."""
    number, host = store.get(f"process/{rank}").decode().split(" ", 1)
    if host != socket.gethostname() or not Path("/proc/self/stat").exists():
        return False
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in ("Z", "X")


def _named(numbers: list[int]) -> str:
    return f"rank{'s'[: len(numbers) > 1]} {', '.join(map(str, numbers))}"
