"""Several ranks for a test: processes forked from a warm one, that meet over gloo on this machine's loopback.

Importing PyTorch takes seconds, a tiny run a fraction of one; so a fork server imports once, and forks every rank. No
rank outlives its test.
"""

import multiprocessing
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist

CONTEXT = None if sys.platform == "win32" else multiprocessing.get_context("forkserver")
if CONTEXT is not None:
    CONTEXT.set_forkserver_preload(["tests.rank_work"])
SECONDS = 90


class Failed:
    """What a rank sends that ended with an error."""

    def __init__(self, error: BaseException) -> None:
        self.kind, self.message = type(error).__name__, str(error)
        self.trace = "".join(traceback.format_exception(error))

    def __repr__(self) -> str:
        return self.trace


def _be_rank(connection, rank: int, ranks: int, port: int, content: bytes) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks),
        "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    torch.set_num_threads(1)
    torch.manual_seed(1000 + rank)  # nothing may hang on the global random state, which is not that of one process
    try:
        work, arguments = pickle.loads(content)  # from our own process
        found: Any = work(*arguments)
    except BaseException as error:
        found = Failed(error)
    connection.send_bytes(pickle.dumps(found))
    connection.close()
    os._exit(0)  # as abrupt as a kill to those that still wait


def start(ranks: int, work: Callable[..., Any], *arguments: Any) -> list[tuple[Any, Any, Any]]:
    """Start the ranks; for each its process, the connection over which it sends what `work` returned, and the store."""
    if CONTEXT is None:
        pytest.skip("ranks are forked, which Windows can not")
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun has it, not a rank
    started, content = [], pickle.dumps((work, arguments))  # at once: else tensors would be shared with the ranks
    for rank in range(ranks):
        here, there = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(target=_be_rank, args=(there, rank, ranks, store.port, content), daemon=True)
        process.start()
        there.close()
        started.append((process, here, store))
    return started


def collect(started: list[tuple[Any, Any, Any]], seconds: float = SECONDS) -> list[Any]:
    """What each rank returned, `Failed` for an error, the exit code in words for a kill; afterwards none is left."""
    until, found = time.monotonic() + seconds, []
    try:
        for process, connection, _ in started:
            if not connection.poll(max(0.0, until - time.monotonic())):
                raise TimeoutError(f"a rank has not answered in {seconds} seconds")
            try:
                found.append(pickle.loads(connection.recv_bytes()))  # from our own process
            except EOFError:
                process.join(5)
                found.append(f"killed: {process.exitcode}")
    finally:
        for process, *_ in started:
            if process.is_alive():
                process.kill()
            process.join()
    return found


def on_ranks(ranks: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `work(*arguments)` returns on each of so many ranks; a rank that fails fails the test."""
    found = collect(start(ranks, work, *arguments))
    failed = [rank for rank in found if isinstance(rank, (Failed, str))]
    assert not failed, failed
    return found
