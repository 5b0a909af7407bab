"""The leak test: whether anything of the solutions is in what students can see.

A secret is a line between markers, or a line that a solution prints. Lines that the library, the text of the book or a
master outside its markers show as well are none; neither are lines of one or two words. What a notebook stores besides
its text, outputs and metadata, makes nothing public. Everything is compared without
white space, quotes and backslashes, so that indentation, highlighting, escapes in JSON or HTML and line breaks hide
nothing. Archives are opened, also inside each other.
"""

import base64
import binascii
import functools
import html
import io
import json
import keyword
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dml_teach.classroom.markers import HIDDEN_TESTS, SOLUTION, hidden_lines, without
from dml_teach.classroom.masters import Master

LETTERS, WORDS = 12, 3
"""What a line must have, of characters without white space and of different words, to tell anything."""
PUBLIC = ("dml_teach/**/*", "book/*.py", "book/**/*.md")
"""Where an instructor's tree has what anybody may read."""
KEYWORDS = {*keyword.kwlist, *keyword.softkwlist}
IGNORED = re.compile(r"[\s\"'\\`*‘’“”–—-]+")
TAG = re.compile(r"<[^<>]*>")
BLOB = re.compile(r"[A-Za-z0-9+/=]{400,}")
ENCODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
WORD = re.compile(r"[^\W\d]\w{6,}")
DEPTH = 4
PICTURES = (".png", ".jpg", ".npz", ".safetensors", ".woff", ".woff2", ".ttf", ".ico", ".pyc")


@dataclass(frozen=True)
class Secret:
    """What must not be seen: the line, squeezed for comparison, and where it comes from."""

    squeezed: str
    line: str
    source: str


@dataclass(frozen=True)
class Leak:
    """A secret that was found, and in which file; a file inside an archive is named behind it."""

    place: str
    secret: Secret

    def __str__(self) -> str:
        return f"{self.place} shows {self.secret.source}: {self.secret.line[:60]!r}"


@dataclass(frozen=True)
class Secrets:
    """All secrets of the masters: lines, and stems of words for an index, which has no lines, with their sources."""

    lines: tuple[Secret, ...]
    words: dict[str, str]


def squeeze(text: str) -> str:
    """A text without what layout, escapes, highlighting and a typesetter's quotes and dashes change."""
    return IGNORED.sub("", text.replace("…", "..."))


def secrets(masters: Iterable[Master], shared: Iterable[Path], printed: dict[str, list[str]] | None = None) -> Secrets:
    """What the masters hide.

    Args:
        masters: the exercises with their solutions.
        shared: files that anybody may read, see `public`.
        printed: lines that each master prints, by its exercise's name.
    """
    masters = list(masters)
    shown = [text for path in shared for _, text in texts(path)]
    shown += [without(master.text, master.path.name, {SOLUTION: None, HIDDEN_TESTS: None}) for master in masters]
    seen, seen_words = squeeze("\n".join(shown)), {stem(word) for text in shown for word in set(WORD.findall(text))}
    lines: dict[str, Secret] = {}
    words: dict[str, str] = {}
    for master in masters:
        found = [
            (re.sub(r"^\s*#\s", "", line), f"{master.path.name}:{number}")
            for number, _, line in hidden_lines(master.text, master.path.name)
        ]
        for line, source in found:
            words |= {stem(word): source for word in WORD.findall(line) if stem(word) not in seen_words}
        found += [(line, f"what {master.path.name} prints") for line in (printed or {}).get(master.exercise, [])]
        for line, source in found:
            squeezed = squeeze(line)
            if len(squeezed) >= LETTERS and len(_words(line)) >= WORDS and squeezed not in seen:
                lines.setdefault(squeezed, Secret(squeezed, line.strip(), source))
    return Secrets(tuple(lines.values()), words)


def _words(line: str) -> set[str]:
    return set(re.findall(r"\w+", line)) - KEYWORDS


def public(course: Path) -> list[Path]:
    """The files that make a line of a solution no secret, if it stands there too."""
    found = {path for pattern in PUBLIC for path in course.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "__pycache__" not in path.parts and "_build" not in path.parts)


def scan(paths: Iterable[Path], hidden: Secrets) -> list[Leak]:
    """Every secret that is in the files, folders and archives, in the order of their names, each once for a file."""
    found: list[Leak] = []
    known: dict[str, list[Secret]] = {}
    for path in paths:
        for place, text in texts(path):
            if text not in known:
                known[text] = list(_inside(text, place, hidden))
            found += [Leak(place, secret) for secret in known[text]]
    return found


def _inside(text: str, place: str, hidden: Secrets) -> Iterator[Secret]:
    variants = {squeeze(variant) for variant in _variants(text)}
    for secret in hidden.lines:
        if any(secret.squeezed in variant for variant in variants):
            yield secret
    if PurePosixPath(place).name == "searchindex.js":
        terms = set(re.findall(r"\w+", text.lower()))
        yield from (Secret(word, word, source) for word, source in hidden.words.items() if word in terms)


@functools.cache
def stem(word: str) -> str:
    """A word as Sphinx's index has it."""
    try:
        import snowballstemmer
    except ImportError:  # comes with Sphinx; without it no index was built here
        return word.lower()
    return snowballstemmer.stemmer("porter").stemWord(word.lower())


def _variants(text: str) -> Iterator[str]:
    """A text as it stands, and as a reader of HTML or JSON meets it."""
    yield text
    if "<" in text:
        yield html.unescape(TAG.sub("", text))
    if "\\u" in text or "\\n" in text:
        yield re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text).replace("\\n", "\n")


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Every text in a file or below a folder with its place; archives are opened."""
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.is_file() and "__pycache__" not in inner.parts:
                yield from _opened(str(inner.relative_to(path.parent)), inner.read_bytes(), DEPTH)
    elif path.is_file():
        yield from _opened(path.name, path.read_bytes(), DEPTH)


def _opened(place: str, content: bytes, depth: int) -> Iterator[tuple[str, str]]:
    """The texts of one file's content."""
    yield place, place  # a name can tell as well
    if place.endswith(PICTURES):
        return
    if depth and content.startswith(b"PK\x03\x04") and zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if not name.endswith("/"):
                    yield from _opened(f"{place}!{name}", archive.read(name), depth - 1)
        return
    if depth and content.startswith(b"\x1f\x8b"):
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                for member in archive.getmembers():
                    if member.isfile():
                        inner = archive.extractfile(member)
                        assert inner is not None
                        yield from _opened(f"{place}!{member.name}", inner.read(), depth - 1)
        except tarfile.TarError:
            yield from _opened(f"{place}!", zlib.decompress(content, wbits=31), depth - 1)
        return
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    if place.endswith((".ipynb", ".json")):
        with suppress(json.JSONDecodeError):  # else it is scanned as the text that it is
            text = "\n".join(_strings(json.loads(text)))
    yield place, BLOB.sub("", text)
    for encoded in ENCODED.findall(BLOB.sub("", text)):
        if inner_text := _decoded(encoded):
            yield place, inner_text


def _decoded(encoded: str) -> str:
    """A short text that was put into base64, or nothing."""
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _strings(value: Any) -> Iterator[str]:
    """Every string in JSON, keys too; a list of strings, as notebooks hold their text, is one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        if value and all(isinstance(inner, str) for inner in value):
            yield "".join(value)
        else:
            for inner in value:
                yield from _strings(inner)
