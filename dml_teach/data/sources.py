"""A data set's image files where the user has them: in a folder, or in a zip archive that nobody vouches for.

Nothing is ever written under a name from an archive: its images are read in memory, one at a time. All the same its
names are checked before a byte is unpacked, because an archive with `../` or a link in it is not what it claims to be.
"""

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dml_teach.data.decoding import FILE_BYTES
from dml_teach.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png")
ENTRIES = 200_000  # the most files that an archive may hold
TOTAL_BYTES = 2 << 30  # and the most bytes that its images may come to

ZIP_TROUBLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a method of compression that this Python has not
    RuntimeError,  # an encrypted file, among others
    ValueError,
    OSError,
)


@dataclass(frozen=True)
class Source:
    """Where images can be read.

    where      how messages name it
    files      base names of the images in each folder that is there, sorted
    signature  changes when a file is added, removed, replaced or resized
    place      how messages name the file (folder, base name)
    read       the bytes of the file (folder, base name); raises `DataError` naming it
    """

    where: str
    files: dict[str, tuple[str, ...]]
    signature: str
    place: Callable[[str, str], str]
    read: Callable[[str, str], bytes]


def shown(name: str | Path) -> str:
    """A file name for a message: as it is, unless something in it can not be printed on one line."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


@contextmanager
def opened(path: Path, folders: Sequence[str], way_out: str) -> Iterator[Source]:
    """The images in `folders`, the first of which must be there, of a data set's folder, of its parent, or of a zip.

    Raises `DataError`, with `way_out`, when there is no such thing, or an archive is damaged or not to be trusted.
    """
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)}: can not be looked at; {way_out}") from error
    if is_folder:
        yield from_folder(path, folders, way_out)
        return
    if not is_file:
        raise DataError(f"{shown(path)}: neither a folder nor a file; {way_out}")
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_TROUBLE as error:
        raise DataError(f"{shown(path)}: not a zip archive, or a damaged one; {way_out}") from error
    with archive:
        yield from_zip(archive, path, folders, way_out)


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image; what a Mac leaves beside each file is not one."""
    return name.lower().endswith(SUFFIXES) and not name.startswith("._")


def from_folder(root: Path, folders: Sequence[str], way_out: str) -> Source:
    """The images in folders of `root`, or of the one folder in it that has them."""
    try:
        within = (
            [root] if (root / folders[0]).is_dir() else sorted(p for p in root.iterdir() if (p / folders[0]).is_dir())
        )
        if len(within) != 1:
            found = f"{len(within)} folders with {folders[0]}" if within else f"no folder {folders[0]}"
            raise DataError(f"{shown(root)}: {found}; {way_out}")
        home = within[0]
        listed = {
            folder: sorted(
                (path for path in (home / folder).iterdir() if is_image(path.name)), key=lambda path: path.name
            )
            for folder in folders
            if (home / folder).is_dir()
        }
        digest = hashlib.sha256()
        for path in (path for paths in listed.values() for path in paths):
            status = path.stat()
            digest.update(f"{path.parent.name}/{path.name!a} {status.st_size} {status.st_mtime_ns}\n".encode())
    except OSError as error:
        raise DataError(f"{shown(error.filename or root)}: {error.strerror}; {way_out}") from error

    def place(folder: str, name: str) -> str:
        return shown(home / folder / name)

    def read(folder: str, name: str) -> bytes:
        path = home / folder / name
        try:
            if not path.is_file():  # reading a pipe would wait for ever
                raise DataError(f"{shown(path)}: not a plain file; {way_out}")
            with path.open("rb") as file:
                return file.read(FILE_BYTES + 1)
        except OSError as error:
            raise DataError(f"{shown(path)}: {error.strerror}; {way_out}") from error

    files = {folder: tuple(path.name for path in paths) for folder, paths in listed.items()}
    return Source(shown(home), files, digest.hexdigest(), place, read)


def from_zip(archive: zipfile.ZipFile, path: Path, folders: Sequence[str], way_out: str) -> Source:
    """The images in folders of an archive, which stand at its top or together in one folder, however deep."""
    check_entries(archive, path, way_out)
    members: dict[tuple[str, str], zipfile.ZipInfo] = {}
    homes = set()
    for entry in archive.infolist():
        *home, folder, name = ["", *entry.filename.split("/")]
        if folder in folders and is_image(name) and "__MACOSX" not in home:
            homes.add("/".join(home))
            members[folder, name] = entry
    if len(homes) > 1:
        raise DataError(f"{shown(path)}: holds the data set {len(homes)} times; {way_out}")
    if folders[0] not in {folder for folder, _ in members}:
        raise DataError(f"{shown(path)}: no images in a folder {folders[0]}; {way_out}")
    check_sizes(members.values(), path, way_out)

    def place(folder: str, name: str) -> str:
        return f"{shown(path)}: {shown(members[folder, name].filename)}"

    def read(folder: str, name: str) -> bytes:
        try:
            with archive.open(members[folder, name]) as file:
                return file.read(FILE_BYTES + 1)
        except ZIP_TROUBLE as error:
            raise DataError(f"{place(folder, name)}: can not be unpacked; {way_out}") from error

    digest = hashlib.sha256()
    for entry in sorted(members.values(), key=lambda entry: entry.filename):
        digest.update(f"{entry.filename!a} {entry.file_size} {entry.CRC}\n".encode())
    there = {folder for folder, _ in members}
    files = {folder: tuple(sorted(name for other, name in members if other == folder)) for folder in there}
    return Source(shown(path), files, digest.hexdigest(), place, read)


def check_entries(archive: zipfile.ZipFile, path: Path, way_out: str) -> None:
    """Raise `DataError` naming the first entry that no archive of images has."""
    entries = archive.infolist()
    if len(entries) > ENTRIES:
        raise DataError(f"{shown(path)}: {len(entries)} entries, more than the {ENTRIES} that are read; {way_out}")
    seen = set()
    for entry in entries:
        fault = entry_fault(entry)
        if fault is None and entry.filename in seen:
            fault = "stands in it twice"
        if fault is not None:
            raise DataError(f"{shown(path)}: {shown(entry.orig_filename)} {fault}, so nothing is read; {way_out}")
        seen.add(entry.filename)


def entry_fault(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry is not to be trusted, whatever it holds; None when nothing speaks against it."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if name.startswith("/") or "\\" in name or name[1:2] == ":" or "\0" in name or not name:
        return "is no relative path"
    if ".." in name.split("/"):
        return "leads out of its folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    return None


def check_sizes(entries: Iterable[zipfile.ZipInfo], path: Path, way_out: str) -> None:
    """Raise `DataError` when an entry, or all together, claim more bytes than images of this kind have."""
    for entry in entries:
        if entry.file_size > FILE_BYTES:
            size = f"{entry.file_size} bytes, more than the {FILE_BYTES} that are read of an image"
            raise DataError(f"{shown(path)}: {shown(entry.filename)} claims {size}; {way_out}")
    total = sum(entry.file_size for entry in entries)
    if total > TOTAL_BYTES:
        raise DataError(f"{shown(path)}: {total} bytes in all, more than the {TOTAL_BYTES} that are read; {way_out}")
