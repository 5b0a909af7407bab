"""Which device a run uses, and how, by rules that `dml-teach doctor` shows.

device      the first CUDA GPU, else Apple's GPU, else the CPU
precision   where a recipe says "auto": bf16 on a GPU or CPU that multiplies it in hardware, fp16 on an older CUDA
            GPU, else fp32. MobileNet's depthwise convolutions stay in fp32 on a CPU, whose bf16 kernels for them
            are slow
layout      channels_last everywhere: never slower where it was measured
optimizer   one fused kernel on CUDA; on a CPU that changes nothing
peers       on a CPU a thread for each, with one thread inside; on a GPU one after the other, in its one queue
compiling   only when asked: on a CPU it costs a minute and gains nothing
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from dml_teach.errors import ConfigError


def choose(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes the first CUDA GPU, else Apple's GPU, else the CPU.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device '{name}' can not be used here ({reason}); try --device cpu") from error
    if device.type == "meta":
        raise ConfigError("device 'meta' holds no numbers; try --device cpu")
    return device


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number formats of the forward pass, by the names that recipes use."""


def precision(name: str, device: torch.device) -> str:
    """The format of that name, a key of `DTYPES`; "auto" is what pays on this device."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
    return "fp32"


@contextmanager
def peers_side_by_side(
    peers: int, device: torch.device
) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]]:
    """How to run `peers` peers on the device, as `Cohort` wants it: on a CPU a thread for each, elsewhere one after the
    other.

    On the CPU PyTorch's own threads inside an operation are turned off meanwhile. They spin while they wait, so that on
    a busy machine two of them are several times slower than one; peers meet only twice a step. A GPU has its own queue,
    and a second thread would only add to it.
    """
    if device.type != "cpu":
        yield map
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if peers == 1:
            yield map
        else:
            # The setting is one of each thread, so every new thread needs it too.
            with ThreadPoolExecutor(peers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                yield pool.map
    finally:
        torch.set_num_threads(before)
