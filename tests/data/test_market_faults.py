"""Damaged folders, names, archives and images: each is refused with its name, or read as it should be; never more."""

import random
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from dml_teach.data import market1501, sources
from dml_teach.data.decoding import FILE_BYTES, SIDE, decode, encode_png, png_chunk
from dml_teach.data.market1501 import BOXES, GALLERY, QUERY, TRAIN
from dml_teach.errors import DataError
from tests.data import markets
from tests.data.markets import EXPECTED, SIZE, TOP

FIRST = f"{TRAIN}/0002_c1s1_000021_00.jpg"


def load(root, cache):
    return market1501.load(root, size=SIZE, expected=EXPECTED, cache=cache)


def refusal(root, cache) -> str:
    with pytest.raises(DataError) as caught:
        load(root, cache)
    assert "\n" not in str(caught.value)
    assert not cache.exists() or list(cache.iterdir()) == []
    return str(caught.value)


# --- archives that mean harm ---


def entry(name, *, mode=None, date=(2015, 9, 15, 0, 0, 0)):
    info = zipfile.ZipInfo(name, date)
    if mode is not None:
        info.external_attr = mode << 16
    return info


def harmful(path: Path, *entries: tuple[zipfile.ZipInfo, bytes]) -> Path:
    """A sound archive with more entries in it."""
    path.write_bytes(markets.zipped(markets.files()))
    with zipfile.ZipFile(path, "a") as archive:
        for info, data in entries:
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../x.jpg", "leads out of its folder"),
        (f"{TOP}/{TRAIN}/../../../x.jpg", "leads out of its folder"),
        ("/etc/x.jpg", "is no relative path"),
        ("C:/x.jpg", "is no relative path"),
        ("..\\x.jpg", "is no relative path"),
    ],
)
def test_an_entry_that_leads_out_of_the_archive_is_refused(tmp_path, name, fault):
    path = harmful(tmp_path / "a.zip", (entry(name), b"x"))
    assert f"{name} {fault}, so nothing is read" in refusal(path, tmp_path / "cache")
    assert {found.name for found in tmp_path.iterdir()} <= {"a.zip", "cache"}


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_or_a_device_is_refused(tmp_path, kind):
    path = harmful(
        tmp_path / "a.zip", (entry(f"{TOP}/{TRAIN}/0002_c1s1_000099_00.jpg", mode=kind | 0o777), b"/etc/passwd")
    )
    assert "is a link or a device" in refusal(path, tmp_path / "cache")


def test_an_entry_that_stands_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = harmful(tmp_path / "a.zip", (entry(f"{TOP}/{FIRST}"), markets.png(1)))
    assert f"{TOP}/{FIRST} stands in it twice" in refusal(path, tmp_path / "cache")


def test_a_data_set_that_stands_twice_is_refused(tmp_path):
    path = harmful(tmp_path / "a.zip", (entry(f"other/{FIRST}"), markets.png(1)))
    assert "holds the data set 2 times" in refusal(path, tmp_path / "cache")


def test_what_a_mac_adds_is_passed_over(tmp_path):
    path = harmful(tmp_path / "a.zip", (entry(f"__MACOSX/{TOP}/{TRAIN}/._0002_c1s1_000021_00.jpg"), b"x"))
    assert len(load(path, tmp_path / "cache")[0]) == 6


def test_an_encrypted_entry_is_refused(tmp_path):
    path = harmful(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the first entry of the directory
    path.write_bytes(data)
    assert "is encrypted" in refusal(path, tmp_path / "cache")


def test_an_image_that_unpacks_to_too_much_is_refused_before_unpacking(tmp_path, monkeypatch):
    path = harmful(tmp_path / "a.zip", (entry(f"{TOP}/{TRAIN}/0002_c1s1_000099_00.jpg"), bytes(FILE_BYTES + 1)))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    assert f"claims {FILE_BYTES + 1} bytes" in refusal(path, tmp_path / "cache")


def test_images_that_unpack_to_too_much_in_all_are_refused_before_unpacking(tmp_path, monkeypatch):
    path = harmful(tmp_path / "a.zip")
    monkeypatch.setattr(sources, "TOTAL_BYTES", 100)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    assert "bytes in all, more than the 100" in refusal(path, tmp_path / "cache")


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ENTRIES", 3)
    assert "entries, more than the 3" in refusal(harmful(tmp_path / "a.zip"), tmp_path / "cache")


def test_an_entry_that_unpacks_to_more_than_it_claims_is_cut_there(tmp_path):
    path = harmful(tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{TOP}/{FIRST}")
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    while data[place + 46 : place + 46 + len(info.filename)].decode() != info.filename:
        place = data.index(b"PK\x01\x02", place + 4)
    data[place + 24 : place + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    assert FIRST in refusal(path, tmp_path / "cache")


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(markets.zipped({f"{TOP}.zip": markets.zipped(markets.files())}))
    assert f"no images in a folder {TRAIN}" in refusal(path, tmp_path / "cache")


@pytest.mark.parametrize("data", [b"", b"PK", b"not an archive", markets.zipped({})])
def test_what_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    assert str(path) in refusal(path, tmp_path / "cache")


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(markets.zipped(markets.files())[:-30])
    assert refusal(path, tmp_path / "cache").startswith(f"{path}: not a zip archive, or a damaged one")


# --- images that mean harm ---


def picture(data: bytes) -> str:
    with pytest.raises(DataError) as caught:
        decode(data, "some/file.jpg", SIZE)
    assert str(caught.value).startswith("some/file.jpg: ")
    return str(caught.value)


def png_of(width, height, form=(8, 2, 0, 0, 0), pixels=b"", extra=()) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, *form)
    parts = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return markets.png(0)[:8] + b"".join(png_chunk(*part) for part in parts)


def test_what_is_encoded_is_decoded():
    assert decode(encode_png(markets.noise(3)), "x", SIZE).equal(markets.noise(3))


@pytest.mark.parametrize("make", [markets.png, markets.jpeg])
def test_a_grey_picture_is_refused(make):
    assert "1 channel(s)" in picture(make(0, channels=1))


@pytest.mark.parametrize("make", [markets.png, markets.jpeg])
def test_a_picture_cut_short_is_refused(make):
    data = make(0)
    for length in range(0, len(data) - 12, 7):
        picture(data[:length])


def test_an_altered_png_is_refused():
    data = markets.png(0)
    for place in range(0, len(data) - 12, 5):
        picture(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def test_a_png_that_claims_a_huge_size_is_not_unpacked():
    assert f"sides of 1 to {SIDE}" in picture(png_of(100_000, 100_000))


def test_a_jpeg_that_claims_a_huge_size_is_not_unpacked():
    data = bytearray(markets.jpeg(0))
    place = next(i for i in range(len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    data[place + 5 : place + 9] = b"\xff\xff\xff\xff"
    assert f"sides of 1 to {SIDE}" in picture(bytes(data))


def test_a_png_that_unpacks_to_more_than_it_claims_is_not_unpacked_further():
    assert "not as many pixels" in picture(png_of(8, 16, pixels=bytes(1 << 26)))


def test_a_png_of_rows_of_an_unknown_kind_is_refused():
    assert "a row of an unknown kind" in picture(png_of(8, 16, pixels=b"\x07" * (16 * 25)))


@pytest.mark.parametrize("form", [(16, 2, 0, 0, 0), (8, 2, 0, 0, 1), (8, 2, 1, 0, 0), (8, 2, 0, 3, 0)])
def test_a_png_of_an_unusual_kind_is_refused(form):
    assert "unusual kind" in picture(png_of(8, 16, form, bytes(16 * 25)))


def test_a_png_with_notes_in_it_is_read():
    notes = [(b"tEXt", b"Comment\0hello"), (b"pHYs", b"123456789"), (b"zTXt", b"damaged")]
    data = png_of(8, 16, pixels=bytes(16 * 25), extra=notes)
    assert not decode(data, "x", SIZE).any()


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(30), b"RIFF0000WEBPVP8 ", b"BM" + bytes(60), b"<svg/>", b"\0" * 40])
def test_other_formats_are_refused(data):
    assert "neither a JPEG nor a PNG" in picture(data)


def test_a_huge_file_is_refused():
    assert "bytes, more than" in picture(markets.png(0) + bytes(FILE_BYTES))


# --- damage by chance ---


def spoilt_bytes(chance: random.Random, data: bytes) -> bytes:
    """A file that was cut, overwritten, emptied, or exchanged for another."""
    if chance.random() < 0.3:
        return data[: chance.randrange(len(data) + 1)]
    if chance.random() < 0.2:
        return chance.choice(
            [
                b"",
                b"\0" * 100,
                b"\xff\xd8\xff",
                markets.png(0)[:8],
                markets.png(1, (40, 30)),
                markets.jpeg(2, channels=1),
            ]
        )
    spoilt = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 30])):
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
    return bytes(spoilt)


def spoilt_name(chance: random.Random, path: str) -> str:
    """A file that was renamed or moved."""
    folder, _, name = path.rpartition("/")
    letters = list(name)
    if chance.random() < 0.5:
        letters[chance.randrange(len(letters))] = chance.choice("0123456789-_cs.jpgé\n ")
    elif chance.random() < 0.5:
        del letters[chance.randrange(len(letters))]
    else:
        folder = chance.choice([TRAIN, GALLERY, QUERY, BOXES, "elsewhere"])
    return f"{folder}/{''.join(letters)}"


def spoilt_files(chance: random.Random) -> dict[str, bytes]:
    content = markets.files()
    for _ in range(chance.choice([1, 1, 2, 5])):
        path = chance.choice(list(content))
        data = content.pop(path)
        harm = chance.random()
        if harm < 0.45:
            content[path] = spoilt_bytes(chance, data)
        elif harm < 0.9:
            content[spoilt_name(chance, path)] = data
    return content


@pytest.mark.parametrize("number", [pytest.param(k, marks=() if k < 200 else pytest.mark.slow) for k in range(2000)])
def test_damage_by_chance_is_refused_by_name_or_does_not_matter(tmp_path, number):
    chance, cache = random.Random(number), tmp_path / "cache"
    content = spoilt_files(chance) if chance.random() < 0.8 else markets.files()
    if number % 2:
        root = tmp_path / "set.zip"
        data = markets.zipped(content, chance.choice(["", f"{TOP}/"]))
        root.write_bytes(data if content != markets.files() else spoilt_bytes(chance, data))
    else:
        root = markets.write_folder(tmp_path / "set", content)
    try:
        train, test = load(root, cache)
    except DataError as error:
        assert str(root) in str(error)
        assert "\n" not in str(error)
        assert not cache.exists() or list(cache.iterdir()) == []
    else:
        assert (len(train), len(test.query), len(test.gallery)) == (6, 4, 11)
        assert [path.name for path in cache.iterdir()] == ["market1501-16x8"]
