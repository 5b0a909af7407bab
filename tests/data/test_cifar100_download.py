"""The download of CIFAR-100, from a server on this computer."""

import hashlib
import http.server
import io
import tarfile
import threading
from functools import partial
from pathlib import Path

import pytest

from dml_teach.data import cifar100
from dml_teach.errors import DataError
from tests.data.conftest import TRAIN, contents, records


def content(**changes: bytes | tarfile.TarInfo | None) -> dict[str, bytes | tarfile.TarInfo | None]:
    """Members of an archive by path; `changes` replace a file (None leaves it out)."""
    return {f"cifar-100-binary/{name}": member for name, member in {**contents(), **changes}.items()}


def pack(members: dict[str, bytes | tarfile.TarInfo | None]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, member in members.items():
            if isinstance(member, bytes):
                entry = tarfile.TarInfo(name)
                entry.size = len(member)
                archive.addfile(entry, io.BytesIO(member))
            elif member is not None:
                archive.addfile(member)
    return stream.getvalue()


@pytest.fixture
def serve(small, tmp_path, monkeypatch):
    """A function that offers an archive at cifar100.URL, with its own hash or another, and lists the requests made."""
    folder = tmp_path / "server"
    folder.mkdir()
    requests: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def offer(archive: bytes, sha256: str | None = None) -> list[str]:
        (folder / "archive.tar.gz").write_bytes(archive)
        monkeypatch.setattr(cifar100, "URL", f"http://127.0.0.1:{server.server_port}/archive.tar.gz")
        monkeypatch.setattr(cifar100, "SHA256", sha256 or hashlib.sha256(archive).hexdigest())
        return requests

    yield offer
    server.shutdown()
    server.server_close()


def download_refusal(root: Path) -> str:
    """The message with which a download is refused: a single line, and nothing is left behind."""
    before = sorted(root.iterdir())
    with pytest.raises(DataError) as caught:
        cifar100.download(root, progress=False)
    assert "\n" not in str(caught.value)
    assert sorted(root.iterdir()) == before
    return str(caught.value)


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def test_a_download_can_be_loaded(serve, root):
    serve(pack(content()))
    folder = cifar100.download(root, progress=False)
    assert folder == root / "cifar-100-binary"
    assert cifar100.load("train", root).images.numpy().tobytes() == records(TRAIN, seed=0)[:, 2:].tobytes()


def test_a_download_leaves_the_files_that_are_read_and_nothing_else(serve, root):
    serve(pack(content()))
    cifar100.download(root, progress=False)
    names = sorted(path.relative_to(root).name for path in root.rglob("*"))
    assert names == ["cifar-100-binary", "fine_label_names.txt", "test.bin", "train.bin"]


def test_the_folder_itself_may_be_named_as_the_place(serve, root):
    serve(pack(content()))
    assert cifar100.download(root / "cifar-100-binary", progress=False) == root / "cifar-100-binary"


def test_a_place_that_does_not_exist_is_made(serve, root):
    serve(pack(content()))
    assert cifar100.download(root / "new" / "newer", progress=False).is_dir()


def test_paths_in_the_archive_may_begin_with_a_dot(serve, root):
    serve(pack({f"./{name}": member for name, member in content().items()}))
    assert cifar100.download(root, progress=False).is_dir()


def test_progress_is_shown(serve, root, capsys):
    serve(pack(content()))
    cifar100.download(root)
    assert "100%" in capsys.readouterr().err


def test_what_is_there_is_not_fetched_again(serve, root):
    requests = serve(pack(content()))
    cifar100.download(root, progress=False)
    cifar100.download(root, progress=False)
    assert len(requests) == 1


def test_an_archive_with_another_hash_is_refused(serve, root):
    serve(pack(content()), sha256="0" * 64)
    assert "not the official archive (its sha256 differs)" in download_refusal(root)


def test_without_a_network_the_way_out_is_told(serve, root, monkeypatch):
    serve(pack(content()))
    monkeypatch.setattr(cifar100, "URL", "http://127.0.0.1:1/archive.tar.gz")
    message = download_refusal(root)
    assert message.startswith("http://127.0.0.1:1/archive.tar.gz: cannot be fetched (ConnectionError); check network")
    assert message.endswith("--data")


def test_a_server_that_lacks_the_archive_is_reported(serve, root, monkeypatch):
    serve(pack(content()))
    monkeypatch.setattr(cifar100, "URL", cifar100.URL + ".moved")
    assert "cannot be fetched (HTTPError)" in download_refusal(root)


def test_an_incomplete_folder_in_the_way_is_refused_before_fetching(serve, root):
    requests = serve(pack(content()))
    (root / "cifar-100-binary").mkdir()
    (root / "cifar-100-binary" / "train.bin").write_bytes(b"half")
    assert "exists but is not all of CIFAR-100; move it away" in download_refusal(root)
    assert requests == []


def test_a_place_that_can_not_be_written_is_refused(serve, root):
    serve(pack(content()))
    (root / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot be written \(.*\); choose another folder with --data$"):
        cifar100.download(root / "file" / "below", progress=False)


@pytest.mark.parametrize("name", ["train.bin", "test.bin", "fine_label_names.txt"])
def test_an_archive_without_a_file_is_refused(serve, root, name):
    serve(pack(content(**{name: None})))
    assert f"cifar-100-binary/{name} is not there as a plain file" in download_refusal(root)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_an_archive_with_something_else_in_a_files_place_is_refused(serve, root, kind):
    entry = tarfile.TarInfo("cifar-100-binary/train.bin")
    entry.type, entry.linkname = kind, "cifar-100-binary/test.bin"
    serve(pack(content(**{"train.bin": entry})))
    assert "cifar-100-binary/train.bin is not there as a plain file" in download_refusal(root)


@pytest.mark.parametrize("name", ["../train.bin", "/cifar-100-binary/train.bin", "cifar-100-binary/../train.bin"])
def test_an_archive_that_leads_elsewhere_is_refused(serve, root, name):
    members = content()
    serve(pack({name: members.pop("cifar-100-binary/train.bin"), **members}))
    assert "cifar-100-binary/train.bin is not there" in download_refusal(root)


def test_a_member_that_nobody_asked_for_is_not_written(serve, root):
    serve(pack({**content(), "../outside": b"x", "cifar-100-binary/other": b"x"}))
    cifar100.download(root, progress=False)
    assert not list(root.parent.rglob("outside")) + list(root.rglob("other"))


@pytest.mark.parametrize("size", [TRAIN * 3074 - 1, TRAIN * 3074 + 1])
def test_an_archive_with_a_file_of_another_size_is_refused(serve, root, size):
    serve(pack(content(**{"train.bin": bytes(size)})))
    assert f"train.bin: {size} bytes, but the official file has {TRAIN * 3074}" in download_refusal(root)


def test_a_truncated_archive_is_refused(serve, root):
    archive = pack(content())
    serve(archive[: len(archive) // 2])
    assert "the archive is damaged" in download_refusal(root)


def test_an_archive_that_does_not_unpack_is_refused(serve, root):
    archive = bytearray(pack(content()))
    archive[len(archive) // 2 :] = bytes(len(archive) - len(archive) // 2)
    serve(bytes(archive))
    assert "the archive is damaged" in download_refusal(root)


def test_something_that_is_no_archive_is_refused(serve, root):
    serve(b"<html>moved</html>")
    assert "the archive is damaged" in download_refusal(root)
