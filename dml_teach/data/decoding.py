"""From the bytes of a JPEG or PNG file to pixels, for files that nobody vouches for.

torchvision decodes; what it must not meet is kept from it. A picture of a few bytes may claim a size that fills the
memory, so the claim is read first. And a PNG that the decoder gives up on in the middle ends the whole process, not
with an error but with a crash: so a PNG is inflated and checked here, and only what is sound is handed on.
"""

import struct
import zlib
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dml_teach.errors import DataError

FILE_BYTES = 1 << 20  # a photograph of a person at 128x64 has about four thousand
SIDE = 2048  # pixels, the longest side that is believed

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
JPEG_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}  # markers that stand alone
JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a frame, which tells its size


class Damaged(Exception):
    """A file is not a sound picture; the message says why."""


class Claim(NamedTuple):
    """What a picture says of itself."""

    height: int
    width: int
    channels: int


def decode(data: bytes, where: str, size: tuple[int, int]) -> Tensor:
    """The picture (3, H, W) uint8 in `data`, resized to `size` = (H, W) when it has another.

    Format follows from the content, not from a name: JPEG, or PNG with 8 bits and without interlacing. Both must be in
    colour. Raises `DataError` naming `where` for anything else, and for a picture that is damaged or cut short. A JPEG
    has no checksum: one whose pixels were altered, but that still can be decoded, is not noticed.
    """
    from torchvision.io import decode_jpeg, decode_png  # here, since it takes as long to load as PyTorch itself

    try:
        if len(data) > FILE_BYTES:
            raise Damaged(f"{len(data)} bytes, more than the {FILE_BYTES} that are read of a picture")
        if data.startswith(JPEG_START):
            claim, decoder = jpeg_claim(data), decode_jpeg
        elif data.startswith(PNG_START):
            data, claim = sound_png(data)
            decoder = decode_png
        else:
            raise Damaged("neither a JPEG nor a PNG")
        if claim.channels != 3:
            raise Damaged(f"{claim.channels} channel(s), and not red, green and blue")
        if not (1 <= claim.height <= SIDE and 1 <= claim.width <= SIDE):
            raise Damaged(f"claims {claim.height}x{claim.width} pixels; sides of 1 to {SIDE} are believed")
        try:
            image: Tensor = decoder(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        except RuntimeError as error:
            raise Damaged("damaged or cut short") from error
        if image.dtype != torch.uint8 or image.shape != (3, claim.height, claim.width):
            raise Damaged("not the picture that its first bytes promise")
    except Damaged as error:
        raise DataError(f"{where}: {error}; take this file from the original again") from error
    return image if image.shape[1:] == size else resized(image, size)


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture (3, H, W) uint8 at another size: bilinear, and averaging where it shrinks."""
    return interpolate(image[None], size=size, mode="bilinear", antialias=True)[0]


def jpeg_claim(data: bytes) -> Claim:
    """Height, width and channels from the first frame marker of a JPEG; raises `Damaged` when there is none."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            raise Damaged("damaged: no marker where a JPEG has one")
        marker = data[place + 1]
        if marker == 0xFF or marker in JPEG_NO_LENGTH:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in JPEG_SIZES and place + 10 <= len(data):
            height, width, channels = struct.unpack(">HHB", data[place + 5 : place + 10])
            return Claim(height, width, channels)
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    raise Damaged("cut short")


def sound_png(data: bytes) -> tuple[bytes, Claim]:
    """A PNG of the parts that hold its pixels, every one of them checked, and what it claims; raises `Damaged`."""
    header, pixels = b"", b""
    for kind, content in png_chunks(data):
        if kind == b"IHDR" and not header:
            header = content
        elif kind == b"IDAT" and header:
            pixels += content
        elif kind[:1].isupper() and kind not in (b"IEND", b"PLTE"):
            raise Damaged("damaged: a part that no PNG has")
    if len(header) != 13:
        raise Damaged("damaged: no header")
    width, height, *form = struct.unpack(">IIBBBBB", header)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(form[1], 0)
    claim = Claim(height, width, channels)
    if channels != 3 or not (1 <= height <= SIDE and 1 <= width <= SIDE):
        return data, claim  # the caller refuses it
    if form != [8, 2, 0, 0, 0]:
        raise Damaged("a PNG of an unusual kind; 8 bits for each colour and no interlacing are read")
    check_png_pixels(pixels, height, 1 + 3 * width)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return PNG_START + b"".join(png_chunk(*part) for part in parts), claim


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each part of a PNG up to its end, their checksums tested; raises `Damaged`."""
    place, found = len(PNG_START), []
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        checksum = data[place + 8 + length : place + 12 + length]
        if len(checksum) < 4:
            raise Damaged("cut short")
        if zlib.crc32(kind + content) != int.from_bytes(checksum):
            raise Damaged("damaged: a checksum differs")
        found.append((kind, content))
        if kind == b"IEND":
            return found
        place += 12 + length
    raise Damaged("cut short")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """One part of a PNG, with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def encode_png(image: Tensor) -> bytes:
    """A picture (3, H, W) uint8 as a PNG, without loss."""
    _, height, width = image.shape
    rows = torch.zeros(height, 1 + 3 * width, dtype=torch.uint8)  # the first byte says that nothing was filtered
    rows[:, 1:] = image.permute(1, 2, 0).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.numpy().tobytes())), (b"IEND", b""))
    return PNG_START + b"".join(png_chunk(*part) for part in parts)


def check_png_pixels(packed: bytes, rows: int, row_bytes: int) -> None:
    """Raise `Damaged` unless `packed` inflates to that many rows, each of them led by the number of a filter."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(packed, rows * row_bytes + 1)
    except zlib.error as error:
        raise Damaged("damaged: its pixels can not be unpacked") from error
    if len(plain) != rows * row_bytes or not inflater.eof or inflater.unused_data:
        raise Damaged("damaged: not as many pixels as it claims")
    if max(plain[::row_bytes]) > 4:
        raise Damaged("damaged: a row of an unknown kind")
