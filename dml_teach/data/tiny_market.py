"""TinyMarket: a street with six cameras and people who do not exist, drawn by code in Market-1501's layout.

A test of re-identification needs people, and pictures of real ones are taken without asking them. So here everybody is
drawn: `people.py` says who they are, `streets.py` what the cameras make of them. Folders, names, distractors (0000),
junk (-1), and boxes drawn by hand are those of Market-1501, and its loader and protocol run on them unchanged.

A seed fixes every pixel: chance comes from generators of its own for each person and each picture, all arithmetic is in
whole numbers, and pictures are stored without loss. They are PNG inside, under the names that end in `.jpg` that the
layout asks for; readers of images go by the content.
"""

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from dml_teach import seeds
from dml_teach.data import market1501
from dml_teach.data.decoding import encode_png
from dml_teach.data.drawing import Dice
from dml_teach.data.images import ImageSet
from dml_teach.data.market1501 import BOXES, GALLERY, QUERY, TRAIN, Expected
from dml_teach.data.people import Person, somebody
from dml_teach.data.retrieval import DISTRACTOR, JUNK, RetrievalSet
from dml_teach.data.streets import CAMERAS, photograph
from dml_teach.errors import ConfigError, DataError

NAME = "tiny-market"
DRAWING = 2  # the edition: raised when the same seed gives other pixels
DONE = "tiny-market.txt"  # in the folder of a drawing, and what it says is how it was made
STRANGERS = 100_000  # distractors are people, too: their numbers begin here
BOXES_EACH = 2
CAREFUL = ("query", "box")


class Settings(NamedTuple):
    """How a TinyMarket is drawn; the arguments of `draw`."""

    seed: int
    identities: int
    test_identities: int
    cameras: int
    images_per_camera: int
    difficulty: float
    size: tuple[int, int]

    def expected(self) -> Expected:
        """What a folder drawn like that must hold."""
        each = self.test_identities * self.cameras
        distractors, junk = 2 * self.test_identities, self.test_identities
        return Expected(
            name=NAME,
            training=self.identities * self.cameras * self.images_per_camera,
            training_ids=self.identities,
            query=each,
            query_ids=self.test_identities,
            gallery=each * (self.images_per_camera - 1) + distractors + junk,
            distractors=distractors,
            junk=junk,
            cameras=self.cameras,
            may_store_images=True,
            way_out="remove the folder, and it is drawn again",
        )


class Shot(NamedTuple):
    """One picture to be made: whose, by which camera, the how-manieth of them, and what for."""

    folder: str
    identity: int
    person: int
    camera: int
    number: int
    kind: str  # "box" and "query" are framed with care, "junk" is not, "picture" is what a detector gives


def draw(
    folder: Path | str,
    *,
    seed: int = 0,
    identities: int = 100,
    test_identities: int = 60,
    cameras: int = 6,
    images_per_camera: int = 2,
    difficulty: float = 1.0,
    size: tuple[int, int] = (64, 32),
) -> Path:
    """Draw a TinyMarket into `folder`, which must not exist or be empty, and return it.

    Args:
        folder: appears complete or not at all.
        seed: who the people are, and each picture; the cameras are the same for every seed.
        identities: people to learn from. They have even numbers, those of the test odd ones.
        test_identities: people who are asked for, with twice as many distractors and as many pieces of junk.
        cameras: 2 to 6.
        images_per_camera: of each person, from 2: in the test the first is the query, the others are in the gallery.
        difficulty: 0 is one clean camera, 1 the usual; it scales what cameras, boxes and obstacles do to a picture.
        size: height and width in pixels.

    Raises:
        ConfigError: a number is out of its range.
        DataError: the folder holds something already or can not be written.
    """
    settings = Settings(seed, identities, test_identities, cameras, images_per_camera, difficulty, size)
    _check(settings)
    target = Path(folder).expanduser()
    try:
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise DataError(f"{target}: is there already; remove it, or name another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            fresh = Path(scratch) / "fresh"
            for part in (TRAIN, GALLERY, QUERY, BOXES):
                (fresh / part).mkdir(parents=True)
            for frame, shot in enumerate(_shots(settings)):
                (fresh / shot.folder / _name(shot, frame)).write_bytes(encode_png(_picture(shot, settings)))
            (fresh / DONE).write_text(f"{_recipe(settings)}\n", encoding="utf-8")
            _put_in_place(fresh, target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror}); choose another folder") from error
    return target


def _put_in_place(fresh: Path, target: Path) -> None:
    """Rename `fresh` to `target`. Two that draw the same at once draw the same pixels: the second gives way."""
    try:
        if target.exists():
            target.rmdir()
        fresh.rename(target)
    except OSError:
        done = target / DONE
        if not done.is_file() or done.read_bytes() != (fresh / DONE).read_bytes():
            raise


def load(
    folder: Path | str | None = None,
    *,
    seed: int = 0,
    identities: int = 100,
    test_identities: int = 60,
    cameras: int = 6,
    images_per_camera: int = 2,
    difficulty: float = 1.0,
    size: tuple[int, int] = (64, 32),
) -> tuple[ImageSet, RetrievalSet]:
    """A TinyMarket as Market-1501's loader reads it: training images with people as classes, and the test of retrieval.

    It is drawn on first use, into `folder`, or where data sets are kept (`market1501.cache_folder`) when that is None.
    The other arguments are those of `draw`. Raises `DataError` when the folder was drawn with others or is damaged.
    """
    settings = Settings(seed, identities, test_identities, cameras, images_per_camera, difficulty, size)
    _check(settings)
    home = drawn(folder, settings)
    return market1501.load(home, size=size, expected=settings.expected(), cache=home)


def drawn(folder: Path | str | None, settings: Settings) -> Path:
    """The folder with these people, after drawing them where that has not been done yet."""
    recipe = _recipe(settings)
    target = Path(folder).expanduser() if folder else market1501.cache_folder() / recipe.replace(" ", "_")
    if not (target.is_dir() and any(target.iterdir())):
        return draw(target, **settings._asdict())
    try:
        found = (target / DONE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        found = "something else"
    if found != recipe:
        raise DataError(f"{target}: holds {found[:200]!r}, not {recipe!r}; remove it, or name another folder")
    return target


def _check(settings: Settings) -> None:
    for field, low, high in (
        ("seed", 0, 2**63),
        ("identities", 1, 4000),
        ("test_identities", 1, 4000),
        ("cameras", 2, len(CAMERAS)),
        ("images_per_camera", 2, 40),
        ("difficulty", 0, 3),
    ):
        value = getattr(settings, field)
        if not low <= value <= high:
            raise ConfigError(f"{field} of {NAME}: {value}; choose {low} to {high}")
    if not (len(settings.size) == 2 and all(16 <= side <= 512 for side in settings.size)):
        raise ConfigError(f"size of {NAME}: {settings.size}; choose height and width of 16 to 512 pixels")


def _recipe(settings: Settings) -> str:
    """One line that says how a folder was drawn; the name of its folder, too."""
    s = settings
    people = f"{s.identities}+{s.test_identities} people {s.cameras}x{s.images_per_camera} pictures"
    return f"{NAME} {DRAWING} seed {s.seed} {people} {s.size[0]}x{s.size[1]} at {_percent(s)}"


def _percent(settings: Settings) -> int:
    return round(100 * settings.difficulty)


def _shots(settings: Settings) -> list[Shot]:
    """Every picture to be made. People of the test have the numbers 1, 3, 5, ..., the others 2, 4, 6, ..."""
    cameras = range(1, settings.cameras + 1)
    shots = []
    for identity in range(2, 2 * settings.identities + 1, 2):
        for camera in cameras:
            shots += [Shot(TRAIN, identity, identity, camera, k, "picture") for k in range(settings.images_per_camera)]
    for identity in range(1, 2 * settings.test_identities, 2):
        for camera in cameras:
            shots.append(Shot(QUERY, identity, identity, camera, 0, "query"))
            others = range(1, settings.images_per_camera)
            shots += [Shot(GALLERY, identity, identity, camera, k, "picture") for k in others]
            shots += [Shot(BOXES, identity, identity, camera, k, "box") for k in range(BOXES_EACH)]
    for k in range(2 * settings.test_identities):
        shots.append(Shot(GALLERY, DISTRACTOR, STRANGERS + k // 2, 1 + k % settings.cameras, k, "picture"))
    for k in range(settings.test_identities):
        shots.append(Shot(GALLERY, JUNK, 2 * k + 1, 1 + k % settings.cameras, k, "junk"))
    return shots


def _name(shot: Shot, frame: int) -> str:
    identity = "-1" if shot.identity == JUNK else f"{shot.identity:04d}"
    box = 0 if shot.kind in CAREFUL else 1 + shot.number % 99
    return f"{identity}_c{shot.camera}s1_{frame % 1_000_000:06d}_{box:02d}.jpg"


@lru_cache(maxsize=1024)
def _person(seed: int, number: int) -> Person:
    return somebody(Dice(seeds.generator(seed, f"{NAME} person", number)))


def _picture(shot: Shot, settings: Settings) -> Tensor:
    """The picture (3, H, W) uint8; it depends on the seed and the shot, and not on how many others there are."""
    person = (
        None if shot.kind == "junk" and shot.number // settings.cameras % 2 else _person(settings.seed, shot.person)
    )
    place = (shot.person * 10 + shot.camera) * 100 + shot.number % 100
    dice = Dice(seeds.generator(settings.seed, f"{NAME} {shot.kind}", place))
    return photograph(person, shot.camera, settings.size, _percent(settings), shot.kind, dice)
