"""One seed, many independent streams of random numbers.

Two runs with the same seed start from the same weights and see the same batches in the same order, whatever else
differs between them: that is what makes a comparison *paired*. So each purpose draws from a stream of its own, and none
can shift another.
"""

import zlib

import numpy as np
import torch


def generator(seed: int, purpose: str, index: int = 0, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator for one purpose ("weights", "order", "augmentation", ...) and, where there are several, one index.

    On the CPU, unless the numbers are drawn on another `device`, which has a sequence of its own.
    """
    entropy = [seed, zlib.crc32(purpose.encode()), index]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state))
