"""What many tests need: tiny images, one thread, the shared data where they are."""

import os
import signal
from pathlib import Path

import pytest
import torch

from dml_teach.cohort import Cohort
from dml_teach.data.images import ImageSet
from dml_teach.data.retrieval import DISTRACTOR, JUNK, IdentitySet, RetrievalSet
from tests import sites
from tests.resuming import Killed

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Results are compared to the bit, and tests that run in one process must not inherit each other's threads."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that the tests start; some send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def striped(count: int, seed: int, classes: int = 3, channels: int = 1) -> ImageSet:
    """Images (count, channels, 12, 12) that a small network learns at once: the class is the brightness of a stripe."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    images = torch.randint(0, 60, (count, channels, 12, 12), generator=generator)
    images[:, :, 4:8] += (labels * 60)[:, None, None, None]
    names = tuple("abcdefgh"[:classes])
    return ImageSet(
        images.to(torch.uint8),
        labels,
        names,
        "striped",
        mean=(0.3,) * channels,
        std=(0.25,) * channels,
        may_store_images=True,
    )


@pytest.fixture
def train_set() -> ImageSet:
    return striped(90, seed=1)


@pytest.fixture
def test_set() -> ImageSet:
    return striped(45, seed=2)


@pytest.fixture
def sets(train_set, test_set):
    return train_set, test_set


def strangers(count: int = 24, seed: int = 3, channels: int = 1) -> RetrievalSet:
    """A test of retrieval for networks that learnt from `striped`: identities 1 to 3 by two cameras, each the
    brightness of a stripe, with a piece of junk and a distractor in the gallery."""
    drawn = striped(count, seed, channels=channels)
    identities, cameras = drawn.labels + 1, torch.arange(count) // 3 % 2
    identities[-2], identities[-1] = JUNK, DISTRACTOR
    everything = IdentitySet(drawn.images, identities, cameras, tuple(map(str, range(count))), "strangers")
    first = torch.arange(6)
    return RetrievalSet(everything.take(first), everything, "striped", drawn.mean, drawn.std, may_store_images=True)


@pytest.fixture
def stop_at(monkeypatch):
    """Make the n-th step of the runs that follow raise `Killed`, or, given a signal, receive it."""
    original = Cohort.step

    def arm(number, sent=None):
        counted = [0]

        def step(self, *batch):
            counted[0] += 1
            if counted[0] == number and sent is None:
                raise Killed
            if counted[0] == number:
                signal.raise_signal(sent)
            return original(self, *batch)

        monkeypatch.setattr(Cohort, "step", step)

    yield arm
    monkeypatch.setattr(Cohort, "step", original)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data that lie beside a developer's checkout; not part of the project."""
    folder = Path(os.environ.get("DML_TEACH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"the real data are not here ({folder.name}/ beside the checkout, or DML_TEACH_SHARED)")
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book as a site, built once for all tests that read it."""
    return sites.build(tmp_path_factory.mktemp("site") / "html")
