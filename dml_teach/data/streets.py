"""The six cameras of TinyMarket: the places they look at, and what they do to a picture.

Each has its light, tint, contrast, blur and noise, looks at people from a side of its own, and from a height of its
own, and something stands in its way. `difficulty` scales all of that, in percent: 0 is one clean camera in six places.
"""

from typing import NamedTuple

import numpy as np
import torch

from dml_teach.data.drawing import HEIGHT, ONE, Canvas, Colour, Dice, View, shade
from dml_teach.data.people import FEET, SIDES, Person, draw_person, somebody


class Camera(NamedTuple):
    """What a camera does; factors in 256ths.

    place       the name of its background
    sides       how often people show their front, back, left and right
    gain        of red, green and blue
    lift        added to red, green and blue: haze, or the glow of a lamp
    contrast    about middle grey
    colour      how much of it is left; the rest is grey
    blur        how much of each pixel comes from its neighbours
    noise       half the width of the noise, in 255ths
    slope       light falls off from the left (above 0) or the right
    down        how much of its height a person keeps, seen from above
    obstacle    what may stand in the way
    """

    place: str
    sides: dict[str, int]
    gain: tuple[int, int, int]
    lift: tuple[int, int, int]
    contrast: int
    colour: int
    blur: int
    noise: int
    slope: int
    down: int
    obstacle: str


def _sides(front: int, back: int, left: int, right: int) -> dict[str, int]:
    return dict(zip(SIDES, (front, back, left, right), strict=True))


CAMERAS: tuple[Camera, ...] = (
    Camera("brick street", _sides(5, 1, 2, 2), (268, 250, 220), (8, 4, 0), 252, 240, 60, 14, 60, 256, "pole"),
    Camera("park", _sides(1, 5, 2, 2), (232, 264, 220), (2, 14, 2), 240, 230, 80, 14, -70, 250, "bush"),
    Camera("underpass", _sides(2, 2, 4, 1), (180, 202, 240), (0, 10, 24), 200, 160, 140, 24, 90, 248, "pole"),
    Camera("plaza", _sides(3, 3, 1, 1), (286, 280, 266), (22, 18, 8), 246, 200, 40, 12, -40, 240, "passer-by"),
    Camera("evening", _sides(3, 1, 1, 4), (256, 198, 160), (24, 6, 0), 222, 170, 110, 28, 110, 254, "bush"),
    Camera("station", _sides(1, 4, 2, 2), (202, 244, 260), (4, 20, 26), 208, 170, 100, 18, -90, 226, "rail"),
)
CLOSE = 272  # 256ths: how large people stand in their boxes
OBSTACLE_PERCENT = 22  # of the pictures, at difficulty 100


def photograph(
    person: Person | None, number: int, size: tuple[int, int], difficulty: int, kind: str, dice: Dice
) -> torch.Tensor:
    """A picture (3, H, W) uint8 of a person, or of nobody, by camera `number` (from 1).

    `kind` "query" or "box" is a box drawn by hand: the person in the middle, nothing in the way. "junk" shows a part of
    the person only. Anything else is what a detector gives.
    """
    camera, careful = CAMERAS[number - 1], kind in ("query", "box")
    jitter = difficulty // 2 if careful else difficulty
    canvas = Canvas(*size)
    _place(canvas, camera, dice, 60 * jitter // 100)
    view = _stance(camera, difficulty, jitter, dice)
    if kind == "junk":
        aside, up = dice.one_of(((-150, 0), (150, 0), (0, 330), (0, -330), (-120, 240), (120, -280)))
        view = view._replace(left=view.left + aside, top=view.top + up)
    if person is not None:
        side = dice.weighted(camera.sides) if dice.chance(min(100, difficulty)) else "front"
        stride = dice.between(-100, 100)
        feet = view.top + FEET * view.down // ONE
        canvas.ellipse(view.left, feet, 78, 15, shade(_ground(camera), 62))
        draw_person(canvas, person, side, stride, view)
    if not careful and dice.chance(OBSTACLE_PERCENT * difficulty // 100):
        _obstacle(canvas, camera, dice)
    pixels = _develop(canvas.pixels().astype(np.int64), camera, difficulty, dice)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _stance(camera: Camera, difficulty: int, jitter: int, dice: Dice) -> View:
    """Where the person stands in the picture: what the detector's box is off by."""
    zoom = CLOSE - dice.between(-8, 66) * jitter // 100
    down = zoom * (ONE + (camera.down - ONE) * difficulty // 100) // ONE
    feet = FEET + dice.between(-24, 24) * jitter // 100
    left = dice.between(-74, 74) * jitter // 100
    return View(left, feet - FEET * down // ONE, zoom, down)


# --- places ---

GROUND: dict[str, Colour] = {
    "brick street": (150, 138, 128),
    "park": (206, 188, 150),
    "underpass": (96, 98, 108),
    "plaza": (208, 202, 194),
    "evening": (92, 84, 104),
    "station": (168, 172, 178),
}


def _ground(camera: Camera) -> Colour:
    return GROUND[camera.place]


def _place(canvas: Canvas, camera: Camera, dice: Dice, wander: int) -> None:
    """The background: a wall of some kind down to the horizon, ground below it."""
    across, up = dice.between(-wander, wander), dice.between(-wander // 2, wander // 2)
    horizon = 430 + up
    ground = _ground(camera)
    canvas.box(-HEIGHT, horizon, HEIGHT, HEIGHT, ground)
    draw = {
        "brick street": _brick_street,
        "park": _park,
        "underpass": _underpass,
        "plaza": _plaza,
        "evening": _evening,
        "station": _station,
    }[camera.place]
    draw(canvas, across, horizon, ground)


def _brick_street(canvas: Canvas, across: int, horizon: int, ground: Colour) -> None:
    def mortar(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        row = y // 26
        return (y % 26 < 5) | ((x - across + 2000 + row % 2 * 30) % 60 < 5)

    canvas.box(-HEIGHT, 0, HEIGHT, horizon, (176, 96, 76), (mortar, (204, 160, 138)))
    canvas.box(-60 + across - 130, 60, -60 + across, 250, (92, 116, 136))
    canvas.box(-52 + across - 130, 150, -68 + across, 158, (230, 224, 214))
    canvas.box(-HEIGHT, horizon - 14, HEIGHT, horizon + 8, shade(ground, 120))
    canvas.box(-HEIGHT, horizon + 70, HEIGHT, horizon + 80, shade(ground, 80))


def _park(canvas: Canvas, across: int, horizon: int, ground: Colour) -> None:
    canvas.box(-HEIGHT, 0, HEIGHT, horizon, (176, 210, 222))
    for x, y, radius, light in ((-190, 130, 120, 90), (60, 90, 130, 105), (220, 170, 110, 95), (-60, 190, 90, 100)):
        canvas.ellipse(x + across, y, radius, radius, shade((92, 148, 84), light))
    for x in (-150, 130):
        canvas.box(x + across - 11, 170, x + across + 11, horizon, (112, 84, 62))
    canvas.box(
        -HEIGHT,
        horizon - 110,
        HEIGHT,
        horizon + 6,
        (70, 122, 72),
        (lambda x, y: (x + 2000) // 20 % 3 * 7 + 330 > y, (104, 156, 92)),
    )
    canvas.box(-HEIGHT, horizon + 130, HEIGHT, HEIGHT, (120, 164, 92))


def _underpass(canvas: Canvas, across: int, horizon: int, ground: Colour) -> None:
    def joints(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return ((x - across + 2000) % 46 < 4) | (y % 46 < 4)

    canvas.box(-HEIGHT, 0, HEIGHT, horizon, (128, 138, 150), (joints, (100, 110, 122)))
    canvas.box(-HEIGHT, 70, HEIGHT, 112, (72, 118, 150))
    canvas.box(across - 60, 10, across + 60, 36, (246, 250, 238))
    canvas.box(-HEIGHT, horizon, HEIGHT, horizon + 14, (66, 68, 78))


def _plaza(canvas: Canvas, across: int, horizon: int, ground: Colour) -> None:
    canvas.box(-HEIGHT, 0, HEIGHT, horizon, (212, 220, 226))
    canvas.box(-HEIGHT, 60, HEIGHT, horizon, (226, 210, 184))
    for x in range(-420, 421, 105):
        canvas.ellipse(x + across, 190, 30, 40, (150, 146, 150))
        canvas.box(x + across - 30, 190, x + across + 30, 330, (150, 146, 150))

    def paving(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return ((x - across + 2000) // 60 % 2 == 0) ^ (y // 36 % 2 == 0)

    canvas.box(-HEIGHT, horizon - 30, HEIGHT, HEIGHT, ground, (paving, shade(ground, 90)))


def _evening(canvas: Canvas, across: int, horizon: int, ground: Colour) -> None:
    def windows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        column, row = (x - across + 2000) // 54, y // 62
        lit = (column * 7 + row * 5) % 3 != 0
        return ((x - across + 2000) % 54 > 24) & (y % 62 > 26) & lit & (y > 40) & (y < horizon - 60)

    canvas.box(-HEIGHT, 0, HEIGHT, horizon, (74, 70, 112), (windows, (222, 180, 112)))
    canvas.box(-HEIGHT, 0, HEIGHT, 36, (52, 52, 100))
    canvas.ellipse(across - 96, 74, 24, 24, (255, 236, 178))
    canvas.box(across - 100, 90, across - 92, horizon + 30, (48, 44, 60))


def _station(canvas: Canvas, across: int, horizon: int, ground: Colour) -> None:
    def frames(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x - across + 2000) % 90 < 10

    canvas.box(-HEIGHT, 0, HEIGHT, horizon, (182, 206, 214), (frames, (112, 126, 138)))
    canvas.box(-HEIGHT, 40, HEIGHT, 96, (54, 92, 134))
    canvas.box(across - 110, 56, across + 60, 80, (232, 238, 242))
    canvas.box(-HEIGHT, 330, HEIGHT, horizon, (150, 60, 66), (frames, (120, 46, 54)))
    canvas.box(-HEIGHT, horizon + 36, HEIGHT, horizon + 62, (236, 200, 72))


def _obstacle(canvas: Canvas, camera: Camera, dice: Dice) -> None:
    """Something between the camera and the person, as far as it reaches into the box."""
    x = dice.one_of((-1, 1)) * dice.between(30, 150)
    if camera.obstacle == "pole":
        canvas.box(x - 20, 0, x + 20, HEIGHT, (96, 100, 106))
        canvas.box(x - 20, 0, x - 8, HEIGHT, (130, 134, 140))
    elif camera.obstacle == "bush":
        for at, y, radius in ((x - 60, 600, 90), (x + 50, 570, 100), (x, 520, 80)):
            canvas.ellipse(at, y, radius, radius, (64, 104 + at % 30, 62))
    elif camera.obstacle == "rail":
        for y in (400, 470, 540):
            canvas.box(-HEIGHT, y, HEIGHT, y + 18, (176, 180, 186))
        canvas.box(x - 12, 390, x + 12, HEIGHT, (150, 154, 160))
    else:
        aside = 135 if x > 0 else -135  # at the border of the box: whoever fills it is its person
        near = View(aside + x // 5, -40, ONE * 11 // 10, ONE * 11 // 10)
        draw_person(canvas, somebody(dice), dice.one_of(SIDES), dice.between(-80, 80), near)


# --- what the camera does ---


def _mixed(neutral: int, own: int, difficulty: int) -> int:
    return neutral + (own - neutral) * difficulty // 100


def _develop(pixels: np.ndarray, camera: Camera, difficulty: int, dice: Dice) -> np.ndarray:
    """The picture (H, W, 3) uint8 that the camera makes of what is there, int64 of the same shape."""
    height, width, _ = pixels.shape
    exposure = ONE + dice.between(-34, 34) * difficulty // 100
    slope = _mixed(0, camera.slope, difficulty)
    light = exposure + slope * (width - 1 - 2 * np.arange(width)) // (2 * width)  # (W,)
    gain = np.array([_mixed(ONE, own, difficulty) for own in camera.gain])
    pixels = pixels * light[None, :, None] * gain // ONE**2
    grey = (pixels * np.array([77, 150, 29])).sum(axis=2, keepdims=True) // ONE
    pixels = grey + (pixels - grey) * _mixed(ONE, camera.colour, difficulty) // ONE
    pixels = 128 + (pixels - 128) * _mixed(ONE, camera.contrast, difficulty) // ONE
    pixels = pixels + np.array([_mixed(0, own, difficulty) for own in camera.lift])
    pixels = pixels.clip(0, 255)
    pixels = pixels + (_blurred(pixels) - pixels) * min(ONE, _mixed(0, camera.blur, difficulty)) // ONE
    grain = _mixed(0, camera.noise, difficulty)
    return (pixels + _grains(height, width, dice) * grain // (2 * ONE)).clip(0, 255).astype(np.uint8)


def _grains(height: int, width: int, dice: Dice) -> np.ndarray:
    """Noise (H, W, 3) from -384 to 384 about 0: the sum of three numbers, so that most of them are small."""
    drawn = torch.randint(2**24, (height, width, 3), generator=dice.generator).numpy()
    return (drawn & 255) + (drawn >> 8 & 255) + (drawn >> 16) - 384


def _blurred(pixels: np.ndarray) -> np.ndarray:
    """Each pixel mixed with its neighbours, 1 : 2 : 1 down and across; the border is repeated."""
    down = (np.concatenate([pixels[:1], pixels[:-1]]) + 2 * pixels + np.concatenate([pixels[1:], pixels[-1:]]) + 2) // 4
    left, right = np.hstack([down[:, :1], down[:, :-1]]), np.hstack([down[:, 1:], down[:, -1:]])
    return (left + 2 * down + right + 2) // 4
