"""The people of TinyMarket: who they are, and how they look from each side.

Nobody is portrayed. A person is a list of features that chance puts together: build, skin, hair, clothes and their
patterns, a print on the chest and another on the back, a bag. What a camera sees of it depends on the side.
"""

from typing import NamedTuple

from dml_teach.data.drawing import ONE, Canvas, Colour, Dice, Pattern, View, shade

FEET = 600  # units from the top: where a person stands

CLOTHES: dict[str, Colour] = {
    "red": (198, 56, 48),
    "orange": (228, 126, 50),
    "mustard": (222, 178, 66),
    "green": (66, 138, 84),
    "teal": (44, 146, 150),
    "sky": (106, 170, 216),
    "navy": (46, 64, 122),
    "violet": (122, 88, 164),
    "pink": (226, 138, 166),
    "white": (236, 234, 226),
    "black": (48, 48, 54),
}
BELOW: dict[str, Colour] = {
    "jeans": (62, 88, 138),
    "black": (46, 46, 52),
    "grey": (116, 118, 126),
    "sand": (200, 178, 140),
    "wine": (124, 46, 62),
    "olive": (106, 112, 66),
    "white": (228, 226, 218),
}
SKIN: tuple[Colour, ...] = (
    (250, 218, 190),
    (236, 192, 158),
    (214, 164, 124),
    (184, 130, 92),
    (142, 94, 64),
    (100, 66, 48),
)
HAIR: dict[Colour, int] = {  # and how common
    (34, 30, 32): 6,
    (74, 50, 36): 5,
    (126, 82, 48): 3,
    (214, 174, 96): 3,
    (168, 74, 40): 2,
    (196, 194, 192): 2,
    (62, 148, 152): 1,
}
HEADS = {"short": 5, "long": 4, "bun": 3, "curls": 3, "cap": 3, "beanie": 2, "scarf": 2, "bald": 1}
TOPS = {"shirt": 4, "sleeves": 5, "coat": 3, "open jacket": 3}
BOTTOMS = {"trousers": 6, "shorts": 3, "skirt": 3, "long skirt": 2}
PATTERNS = {"plain": 5, "stripes": 3, "pinstripes": 2, "checks": 2, "dots": 2, "two halves": 3}
PRINTS = {"none": 4, "disc": 3, "bar": 2, "diamond": 2, "cross": 2}
BAGS = {"none": 4, "backpack": 4, "shoulder bag": 3, "shopping bag": 3}
SIDES = ("front", "back", "left", "right")


class Person(NamedTuple):
    """What stays the same from camera to camera."""

    height: int  # percent
    build: int  # half the width of the shoulders, in units
    skin: Colour
    hair: Colour
    head: str
    hat: Colour
    top: str
    cloth: Colour
    second: Colour
    pattern: str
    bottom: str
    below: Colour
    shoes: Colour
    front_print: str
    back_print: str
    ink: Colour
    bag: str
    leather: Colour
    bag_side: int  # 1 or -1: at the right or the left hand


def somebody(dice: Dice) -> Person:
    """A person put together by chance."""
    cloth, second, ink = (dice.one_of(list(CLOTHES.values())) for _ in range(3))
    while second == cloth:
        second = dice.one_of(list(CLOTHES.values()))
    while ink in (cloth, second):
        ink = dice.one_of(list(CLOTHES.values()))
    return Person(
        height=dice.between(84, 102),
        build=dice.between(50, 78),
        skin=dice.one_of(SKIN),
        hair=dice.weighted(HAIR),
        head=dice.weighted(HEADS),
        hat=dice.one_of(list(CLOTHES.values())),
        top=dice.weighted(TOPS),
        cloth=cloth,
        second=second,
        pattern=dice.weighted(PATTERNS),
        bottom=dice.weighted(BOTTOMS),
        below=dice.one_of(list(BELOW.values())),
        shoes=dice.one_of(list(CLOTHES.values())),
        front_print=dice.weighted(PRINTS),
        back_print=dice.weighted(PRINTS),
        ink=ink,
        bag=dice.weighted(BAGS),
        leather=dice.one_of(list(CLOTHES.values())),
        bag_side=dice.one_of((1, -1)),
    )


# Each tells where the second colour goes; y counts from the top of the picture.
CLOTH_PATTERNS: dict[str, Pattern] = {
    "stripes": lambda x, y: ((y // 17) % 2 == 0) & (x == x),
    "pinstripes": lambda x, y: ((x + 400) // 11 % 3 == 0) & (y == y),
    "checks": lambda x, y: ((x + 400) // 22 % 2 == 0) ^ (y // 22 % 2 == 0),
    "dots": lambda x, y: ((x + 400) % 34 - 17) ** 2 + (y % 34 - 17) ** 2 < 90,
    "two halves": lambda x, y: (y > 240) & (x == x),
}


def draw_person(canvas: Canvas, person: Person, side: str, stride: int, view: View) -> None:
    """Paint a person onto the canvas, seen from `side`, a step of `stride` (-100 to 100) apart, standing in `view`."""
    scale = person.height * ONE // 100
    mirrored = -1 if side == "right" else 1
    top = view.top + FEET * view.down // ONE * (100 - person.height) // 100
    canvas.view = View(view.left, top, mirrored * view.across * scale // ONE, view.down * scale // ONE)
    (_draw_profile if side in ("left", "right") else _draw_facing)(canvas, person, side, stride)
    canvas.view = View()


def _patterns(person: Person) -> list[tuple[Pattern, Colour]]:
    return [(CLOTH_PATTERNS[person.pattern], person.second)] if person.pattern != "plain" else []


def _draw_facing(canvas: Canvas, person: Person, side: str, stride: int) -> None:
    """Front and back: shoulders broad, an arm on each side."""
    front, w = side == "front", person.build
    hand = person.bag_side if front else -person.bag_side
    step = stride // 8
    if person.bag == "backpack" and front:
        canvas.box(-w - 8, 175, w + 8, 290, shade(person.leather, 80))
    if person.head == "long" and front:
        canvas.ellipse(0, 130, 52, 62, shade(person.hair, 85))
    _legs(canvas, person, [(-w // 2, -w // 2 - 4, 588 + step), (w // 2, w // 2 + 4, 588 - step)], w)
    long_coat = person.top == "coat"
    hem = 420 if long_coat else 335
    for sign in (-1, 1):
        _arm(canvas, person, (sign * (w - 2), 172), (sign * (w + 16), 320 + sign * step))
    corners = [(-w, 158), (w, 158), (w - 4 + 8 * long_coat, hem), (-w + 4 - 8 * long_coat, hem)]
    canvas.polygon([(-w // 3, 140), (w // 3, 140), (w, 162), (-w, 162)], person.cloth)
    canvas.polygon(corners, person.cloth, *_patterns(person))
    if front and person.top in ("coat", "open jacket"):
        inner = person.second if person.pattern == "plain" else person.ink
        canvas.polygon([(-10, 145), (10, 145), (15, hem), (-15, hem)], inner)
    _print(canvas, person.front_print if front else person.back_print, person, 0, 28)
    _carried(canvas, person, front, hand, w)
    canvas.box(-13, 125, 13, 152, shade(person.skin, 88))
    canvas.ellipse(0, 98, 40, 45, person.skin)
    _hair(canvas, person, side)


def _draw_profile(canvas: Canvas, person: Person, side: str, stride: int) -> None:
    """Seen from the side, walking to the left; the canvas mirrors it for the right."""
    w = person.build * 62 // 100
    near = person.bag_side == (1 if side == "left" else -1)
    swing = stride * 7 // 10
    if person.head == "long":
        canvas.ellipse(20, 130, 34, 62, shade(person.hair, 85))
    if person.bag == "shopping bag" and not near:
        _bag_in_hand(canvas, person, -swing)
    _arm(canvas, person, (0, 175), (-swing // 2, 318), 75)
    _legs(canvas, person, [(4, swing, 586), (-4, -swing, 586)], w)
    long_coat = person.top == "coat"
    hem = 420 if long_coat else 335
    if person.bag == "backpack":
        canvas.ellipse(w + 12, 232, 34, 62, person.leather)
        canvas.ellipse(w + 22, 252, 17, 30, shade(person.leather, 78))
    canvas.polygon([(-w // 2, 142), (w // 2, 142), (w, 165), (-w, 165)], person.cloth)
    corners = [(-w, 160), (w, 160), (w + 2 + 8 * long_coat, hem), (-w - 2 - 8 * long_coat, hem)]
    canvas.polygon(corners, person.cloth, *_patterns(person))
    if person.bag == "shoulder bag" and near:
        canvas.limb((0, 160), (6, 310), 6, shade(person.leather, 80))
        canvas.box(-28, 300, 40, 366, person.leather)
    _arm(canvas, person, (0, 178), (swing // 2, 322), 88)
    if person.bag == "shopping bag" and near:
        _bag_in_hand(canvas, person, swing // 2)
    canvas.box(-10, 125, 14, 152, shade(person.skin, 88))
    canvas.ellipse(-36, 106, 10, 10, person.skin)
    canvas.ellipse(0, 98, 38, 45, person.skin)
    _hair(canvas, person, side)


def _bag_in_hand(canvas: Canvas, person: Person, x: int) -> None:
    canvas.limb((x - 12, 360), (x, 326), 4, shade(person.leather, 70))
    canvas.limb((x + 12, 360), (x, 326), 4, shade(person.leather, 70))
    canvas.box(x - 30, 356, x + 30, 440, person.leather)
    canvas.box(x - 30, 386, x + 30, 400, shade(person.leather, 75))


def _arm(canvas: Canvas, person: Person, shoulder: tuple[int, int], hand: tuple[int, int], light: int = 86) -> None:
    """A sleeve, or a bare arm below a short one, and the hand."""
    (x0, y0), (x1, y1) = shoulder, hand
    elbow = ((x0 + x1) // 2, (y0 + y1) // 2)
    canvas.ellipse(x1, y1, 15, 17, person.skin)
    if person.top == "shirt":
        canvas.limb(elbow, hand, 13, person.skin)
        canvas.limb(shoulder, ((x0 + elbow[0]) // 2, (y0 + elbow[1]) // 2 + 14), 19, shade(person.cloth, light))
    else:
        canvas.limb(shoulder, (x1, y1 - 16), 18, shade(person.cloth, light))


def _legs(canvas: Canvas, person: Person, legs: list[tuple[int, int, int]], w: int) -> None:
    """Two legs, each from x at the hip to (x, y) of the foot, and what covers them."""
    covered = {"trousers": 580, "shorts": 430, "skirt": 0, "long skirt": 0}[person.bottom]
    thick = 20 + w // 6
    for hip, foot, y in legs:
        canvas.limb((hip, 340), (foot, y - 16), thick - 5, person.skin)
        canvas.ellipse(foot - 6, y, thick + 4, 15, person.shoes)
        if covered:
            share = covered - 340
            knee = hip + (foot - hip) * share // 240
            canvas.limb((hip, 340), (knee, min(covered, y - 18)), thick, shade(person.below, 100 if hip > 0 else 90))
    if person.bottom == "skirt":
        canvas.polygon([(-w, 325), (w, 325), (w + 22, 455), (-w - 22, 455)], person.below)
    if person.bottom == "long skirt":
        canvas.polygon([(-w, 325), (w, 325), (w + 26, 560), (-w - 26, 560)], person.below)


def _print(canvas: Canvas, kind: str, person: Person, x: int, radius: int) -> None:
    y = 225
    if kind == "disc":
        canvas.ellipse(x, y, radius, radius, person.ink)
    if kind == "bar":
        canvas.box(x - person.build + 8, y - 13, x + person.build - 8, y + 13, person.ink)
    if kind == "diamond":
        canvas.polygon([(x, y - 38), (x + 34, y), (x, y + 38), (x - 34, y)], person.ink)
    if kind == "cross":
        canvas.box(x - 9, y - 36, x + 9, y + 36, person.ink)
        canvas.box(x - 36, y - 9, x + 36, y + 9, person.ink)


def _carried(canvas: Canvas, person: Person, front: bool, hand: int, w: int) -> None:
    """The bag of somebody seen from the front or the back; `hand` is -1 or 1, the side of the picture it is on."""
    if person.bag == "backpack" and front:
        for sign in (-1, 1):
            canvas.limb((sign * w * 6 // 10, 156), (sign * w * 7 // 10, 280), 8, shade(person.leather, 80))
    if person.bag == "backpack" and not front:
        canvas.ellipse(0, 235, w - 8, 74, person.leather)
        canvas.box(8 - w, 225, w - 8, 300, person.leather)
        canvas.box(-w // 2, 252, w // 2, 292, shade(person.leather, 76))
    if person.bag == "shoulder bag":
        canvas.limb((-hand * w * 7 // 10, 158), (hand * w, 320), 7, shade(person.leather, 78))
        canvas.box(hand * (w + 4) - 30, 308, hand * (w + 4) + 30, 378, person.leather)
    if person.bag == "shopping bag":
        _bag_in_hand(canvas, person, hand * (w + 18))


def _hair(canvas: Canvas, person: Person, side: str) -> None:
    """Hair or what covers it, and the eyes; the head is there already, about (0, 98)."""
    hair, back, profile = person.hair, side == "back", side in ("left", "right")
    tail = 8 if profile else 0  # hair reaches further down behind

    if person.head == "scarf":
        canvas.ellipse(6 if profile else 0, 104, 47, 54, person.hat)
        canvas.polygon([(-40, 130), (40, 130), (52, 172), (-52, 172)], person.hat)
        if not back:
            canvas.ellipse(-14 if profile else 0, 102, 24 if profile else 29, 34, person.skin)
    elif person.head == "beanie":
        canvas.ellipse(tail, 100, 42, 46, hair) if back else None
        canvas.ellipse(0, 72, 43, 32, person.hat)
        canvas.box(-44, 72, 44, 90, shade(person.hat, 78))
        canvas.ellipse(0, 40, 13, 13, shade(person.hat, 120))
    elif person.head == "cap":
        canvas.ellipse(tail, 94, 42, 44, hair) if back else canvas.ellipse(24, 96, 18, 30, hair) if profile else None
        canvas.ellipse(0, 76, 43, 32, person.hat)
        if profile:
            canvas.ellipse(-42, 80, 28, 8, shade(person.hat, 78))
        elif not back:
            canvas.ellipse(0, 84, 40, 10, shade(person.hat, 78))
    elif person.head != "bald":
        _locks(canvas, person, back, profile)
    if not back:
        for x in (-20,) if profile else (-15, 15):
            canvas.ellipse(x, 104, 6, 8, (30, 26, 28))


def _locks(canvas: Canvas, person: Person, back: bool, profile: bool) -> None:
    """Hair that nothing covers."""
    hair = person.hair
    if person.head == "curls":
        for x, y in ((-34, 82), (34, 82), (-20, 58), (20, 58), (0, 52), (-42, 106), (42, 106)):
            canvas.ellipse(x, y, 24, 24, hair)
        if back:
            canvas.ellipse(0, 96, 46, 48, hair)
        elif profile:
            canvas.ellipse(22, 98, 30, 42, hair)
        return
    if back:
        canvas.ellipse(0, 92, 43, 47, hair)
    elif profile:
        canvas.ellipse(14, 82, 34, 38, hair)
        canvas.ellipse(-6, 66, 36, 20, hair)
    else:
        canvas.ellipse(0, 68, 42, 24, hair)
        canvas.ellipse(-34, 86, 10, 26, hair)
        canvas.ellipse(34, 86, 10, 26, hair)
    if person.head == "long" and back:
        canvas.box(-42, 96, 42, 190, hair)
    if person.head == "long" and profile:
        canvas.ellipse(28, 130, 20, 60, hair)
    if person.head == "long" and not back and not profile:
        for sign in (-1, 1):
            canvas.ellipse(sign * 40, 130, 13, 52, hair)
    if person.head == "bun":
        canvas.ellipse(36 if profile else 0, 46 if not profile else 56, 20, 18, shade(hair, 88))
