"""The download of CIFAR-10 and CIFAR-100, from a server on this computer."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dml_teach.data import cifar, sets
from dml_teach.data.cifar import Archive
from dml_teach.errors import DataError
from tests.data.conftest import contents, records

Members = dict[str, bytes | tarfile.TarInfo]


@pytest.fixture
def content(small) -> Members:
    """The small archive's members by path."""
    return {f"{small.folder}/{name}": member for name, member in contents(small).items()}


@pytest.fixture
def first(small) -> str:
    """The first training file."""
    return next(iter(small.files["train"]))


def pack(members: Members) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, member in members.items():
            if isinstance(member, bytes):
                entry = tarfile.TarInfo(name)
                entry.size = len(member)
                archive.addfile(entry, io.BytesIO(member))
            else:
                archive.addfile(member)
    return stream.getvalue()


@pytest.fixture
def requests() -> list[str]:
    """What was asked of the server."""
    return []


@pytest.fixture
def serve(small, requests, tmp_path):
    """A function that offers a file, with its own hash or another, and describes it as the archive to fetch."""
    folder = tmp_path / "server"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()

    def offer(archive: bytes, sha256: str | None = None) -> Archive:
        (folder / "archive.tar.gz").write_bytes(archive)
        url = f"http://127.0.0.1:{server.server_port}/archive.tar.gz"
        return small._replace(url=url, sha256=sha256 or hashlib.sha256(archive).hexdigest())

    yield offer
    server.shutdown()
    server.server_close()


def download_refusal(archive: Archive, root: Path) -> str:
    """The message with which a download is refused: a single line, and nothing is left behind."""
    before = sorted(root.iterdir())
    with pytest.raises(DataError) as caught:
        cifar.download(archive, root, progress=False)
    assert "\n" not in str(caught.value)
    assert sorted(root.iterdir()) == before
    return str(caught.value)


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_a_download_can_be_loaded(serve, content, root):
    archive = serve(pack(content))
    assert cifar.download(archive, root, progress=False) == root / archive.folder
    tables = np.concatenate([records(archive, seed) for seed in range(len(archive.files["train"]))])
    assert cifar.load(archive, "train", root).images.numpy().tobytes() == tables[:, -3072:].tobytes()


def test_a_download_leaves_the_files_that_are_read_and_nothing_else(serve, content, root):
    archive = serve(pack(content))
    cifar.download(archive, root, progress=False)
    read = [archive.names_file, *archive.files["train"], *archive.files["test"]]
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == sorted(
        [Path(archive.folder), *(Path(archive.folder, name) for name in read)]
    )


def test_the_folder_itself_may_be_named_as_the_place(serve, content, root):
    archive = serve(pack(content))
    assert cifar.download(archive, root / archive.folder, progress=False) == root / archive.folder


def test_a_place_that_does_not_exist_is_made(serve, content, root):
    assert cifar.download(serve(pack(content)), root / "new" / "newer", progress=False).is_dir()


def test_paths_in_the_archive_may_begin_with_a_dot(serve, content, root):
    archive = serve(pack({f"./{name}": member for name, member in content.items()}))
    assert cifar.download(archive, root, progress=False).is_dir()


def test_progress_is_shown(serve, content, root, capsys):
    cifar.download(serve(pack(content)), root)
    assert "100%" in capsys.readouterr().err


def test_what_is_there_is_not_fetched_again(serve, content, requests, root):
    archive = serve(pack(content))
    cifar.download(archive, root, progress=False)
    cifar.download(archive, root, progress=False)
    assert len(requests) == 1


def test_the_data_set_of_a_name_is_fetched_from_the_authors_with_its_own_hash(archive, root, monkeypatch):
    asked = []

    def retrieve(url, known_hash, *_, **__):
        asked.append((url, known_hash))
        raise ConnectionError

    monkeypatch.setattr(cifar.pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=f"kriz/{archive.url.rpartition('/')[2]}: cannot be fetched"):
        sets.load(archive.name, root, download=True)
    assert asked == [OFFICIAL[archive.name]]


OFFICIAL = {
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    "cifar100": (
        "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    ),
}


def test_nothing_is_fetched_unless_asked(archive, root, monkeypatch):
    monkeypatch.setattr(cifar, "download", None)  # calling it would be a TypeError
    with pytest.raises(DataError, match="--download"):
        sets.load(archive.name, root)


def test_an_archive_with_another_hash_is_refused(serve, content, root):
    archive = serve(pack(content), sha256="0" * 64)
    assert "not the official archive (its sha256 differs)" in download_refusal(archive, root)


def test_without_a_network_the_way_out_is_told(small, root):
    message = download_refusal(small._replace(url="http://127.0.0.1:1/archive.tar.gz"), root)
    assert message.startswith("http://127.0.0.1:1/archive.tar.gz: cannot be fetched (ConnectionError); check network")
    assert message.endswith("--data")


def test_a_server_that_lacks_the_archive_is_reported(serve, content, root):
    archive = serve(pack(content))
    assert "cannot be fetched (HTTPError)" in download_refusal(archive._replace(url=f"{archive.url}.moved"), root)


def test_an_incomplete_folder_in_the_way_is_refused_before_fetching(serve, content, requests, first, root):
    archive = serve(pack(content))
    (root / archive.folder).mkdir()
    (root / archive.folder / first).write_bytes(b"half")
    assert f"exists but is not all of {archive.title}; move it away" in download_refusal(archive, root)
    assert requests == []


def test_a_place_that_can_not_be_written_is_refused(serve, content, root):
    (root / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be written \(.*\); choose another folder with --data$"):
        cifar.download(serve(pack(content)), root / "file" / "below", progress=False)


def test_an_archive_without_a_file_is_refused(serve, content, small, root):
    for name in (next(iter(small.files["test"])), list(small.files["train"])[-1], small.names_file):
        path = f"{small.folder}/{name}"
        archive = serve(pack({each: member for each, member in content.items() if each != path}))
        assert f"{path} is not there as a plain file" in download_refusal(archive, root)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_something_else_in_a_files_place_is_refused(serve, content, small, first, root, kind):
    entry = tarfile.TarInfo(f"{small.folder}/{first}")
    entry.type, entry.linkname = kind, f"{small.folder}/{next(iter(small.files['test']))}"
    archive = serve(pack({**content, entry.name: entry}))
    assert f"{entry.name} is not there as a plain file" in download_refusal(archive, root)


@pytest.mark.parametrize("name", ["../{file}", "/{folder}/{file}", "{folder}/../{file}"])
def test_an_archive_that_leads_elsewhere_is_refused(serve, content, small, first, root, name):
    moved = content.pop(f"{small.folder}/{first}")
    archive = serve(pack({name.format(folder=small.folder, file=first): moved, **content}))
    assert f"{small.folder}/{first} is not there" in download_refusal(archive, root)


def test_a_member_that_nobody_asked_for_is_not_written(serve, content, small, root):
    cifar.download(serve(pack({**content, "../outside": b"x", f"{small.folder}/other": b"x"})), root, progress=False)
    assert not list(root.parent.rglob("outside")) + list(root.rglob("other"))


@pytest.mark.parametrize("more", [-1, 1])
def test_an_archive_with_a_file_of_another_size_is_refused(serve, content, small, first, root, more):
    path = f"{small.folder}/{first}"
    right = len(content[path])
    archive = serve(pack({**content, path: bytes(right + more)}))
    assert f"{first}: {right + more} bytes, but the official file has {right}" in download_refusal(archive, root)


def test_a_truncated_archive_is_refused(serve, content, root):
    packed = pack(content)
    assert "the archive is damaged" in download_refusal(serve(packed[: len(packed) // 2]), root)


def test_an_archive_that_does_not_unpack_is_refused(serve, content, root):
    plain, squeeze = gzip.decompress(pack(content)), zlib.compressobj(wbits=31)
    half = squeeze.compress(plain[: len(plain) // 2]) + squeeze.flush(zlib.Z_FULL_FLUSH)
    no_block = b"\xff" * 100  # begins with a kind of block that the format does not have
    assert "the archive is damaged" in download_refusal(serve(half + no_block), root)


def test_something_that_is_no_archive_is_refused(serve, root):
    assert "the archive is damaged" in download_refusal(serve(b"<html>moved</html>"), root)
