"""The leak test leaks nothing itself: one line, wherever it is put, in whatever form, is found."""

import gzip
import html
import io
import json
import shutil
import tarfile
import zipfile
from base64 import b64encode
from pathlib import Path

import nbformat
import pytest

from dml_teach.classroom import leaks, masters, release, students
from tests.classroom import samples, table

LINE = "    altogether_in_bags = sum(max(bag, 0) for bag in bags)"
QUOTED = 'assert count_marbles([700, 800]) == 1000, "more than LIMIT were counted"'
PROSE = "Because the carrier of the marbles collapses beyond it."


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = samples.course(tmp_path_factory.mktemp("course"))
    (folder / "dml_teach").mkdir()
    (folder / "dml_teach" / "marbles.py").write_text("square_root_wanted = math.sqrt(marbles)\n")
    (folder / "book").mkdir()
    return folder


@pytest.fixture(scope="module")
def hidden(course):
    found = masters.read_all(course / "solutions")
    return leaks.secrets(found, leaks.public(course), {"ex_04_marbles": ["ten bags hold 110 marbles"]})


def found(path: Path, hidden) -> list[str]:
    return [leak.secret.line for leak in leaks.scan([path], hidden)]


def test_secrets_are_the_lines_between_markers_that_are_nowhere_else(hidden):
    assert [secret.line for secret in hidden.lines] == [
        LINE.strip(),
        "return min(altogether_in_bags, LIMIT)",
        QUOTED,
        PROSE,
        "ten bags hold 110 marbles",
    ]


def test_a_secret_tells_where_it_is_from(hidden):
    assert hidden.lines[0].source == "sol_04_marbles.py:29"
    assert hidden.lines[-1].source == "what sol_04_marbles.py prints"


@pytest.mark.parametrize("line", [LINE, QUOTED, PROSE, "ten bags hold 110 marbles"])
@pytest.mark.parametrize(
    "write",
    [
        lambda line: line,
        lambda line: f"x = 1\n\t{line}  \n",
        lambda line: json.dumps({"deep": [{"metadata": {"note": line}}]}),
        lambda line: json.dumps(json.dumps(line)),
        lambda line: f"<pre>{html.escape(line)}</pre>",
        lambda line: " ".join(f"<span class='n'>{html.escape(word)}</span>" for word in line.split()),
        lambda line: line.replace(" ", "\n"),
        lambda line: "# %% note=" + json.dumps(line),
        lambda line: json.dumps(line).replace("a", "\\u0061"),
        lambda line: b64encode(line.encode()).decode(),
    ],
    ids=["plain", "indented", "json", "json twice", "html", "highlighted", "wrapped", "header", "escaped", "base64"],
)
def test_a_line_is_found_in_whatever_form(tmp_path, hidden, line, write):
    (tmp_path / "file.txt").write_text(write(line), encoding="utf-8")
    assert found(tmp_path, hidden) == [line.strip()]


def archived(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.py", content)


def packed(path: Path, content: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("inner.py")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def nested(path: Path, content: bytes) -> None:
    inner = path.with_suffix(".whl")
    archived(inner, content)
    packed(path, inner.read_bytes())
    inner.unlink()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.zip", archived),
        ("a.whl", archived),
        ("a.tar.gz", packed),
        ("a.gz", lambda path, content: path.write_bytes(gzip.compress(content))),
        ("b.bin", nested),
        ("utf16.txt", lambda path, content: path.write_text(content.decode(), encoding="utf-16")),
    ],
)
def test_a_line_is_found_inside_an_archive(tmp_path, hidden, name, write):
    write(tmp_path / name, LINE.encode())
    assert found(tmp_path, hidden) == [LINE.strip()]


def test_a_name_of_a_file_can_leak_too(tmp_path, hidden):
    (tmp_path / "return min(altogether_in_bags, LIMIT)").write_text("")
    assert found(tmp_path, hidden) == ["return min(altogether_in_bags, LIMIT)"]


def test_what_was_handed_out_leaks_nothing(tmp_path, course, hidden):
    for name, content in students.files(masters.read_all(course / "solutions")[0]).items():
        (tmp_path / name).write_bytes(content)
    assert found(tmp_path, hidden) == []


def test_an_index_is_searched_for_words(tmp_path, hidden):
    (tmp_path / "searchindex.js").write_text('Search.setIndex({terms:{"carrier":[1],"network":[2]}})')
    assert found(tmp_path, hidden) == ["carrier"]


def test_stored_outputs_of_the_book_make_nothing_public(course):
    """Else a solution that slipped into an output would be taken for something that everybody knows."""
    stored = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(LINE)])
    nbformat.write(stored, course / "book" / "04_marbles.ipynb")
    hidden = leaks.secrets(masters.read_all(course / "solutions"), leaks.public(course))
    assert LINE.strip() in [secret.line for secret in hidden.lines]
    assert found(course / "book", hidden) == [LINE.strip()]


# --- the solutions of this course, in everything that leaves it ---

needs_masters = pytest.mark.skipif(not list(table.SOLUTIONS.glob("sol_*.py")), reason="solutions/ is kept elsewhere")
ROOT = table.SOLUTIONS.parent


@pytest.fixture(scope="module")
def real():
    return masters.read_all(ROOT / "solutions")


@pytest.fixture(scope="module")
def kept(real):
    """The secrets, but for what solutions print, for which they would have to run."""
    return leaks.secrets(real, leaks.public(ROOT))


@pytest.fixture(scope="module")
def given(real, tmp_path_factory):
    """All that leaves the tree but the site: release, with the wheel in it, and sdist."""
    folder = tmp_path_factory.mktemp("given")
    release.fill(ROOT, real, folder / "release")
    release.package(ROOT, folder / "sdist", "sdist")
    return folder


@needs_masters
def test_every_solution_has_lines_to_keep(real, kept):
    sources = {secret.source.partition(":")[0] for secret in kept.lines}
    assert sources == {master.path.name for master in real}


@needs_masters
def test_no_solution_is_in_the_release_the_wheel_or_the_sdist(given, kept):
    assert list(map(str, leaks.scan([given], kept))) == []


@needs_masters
def test_no_solution_is_in_the_web_book_or_its_index(site, kept):
    assert list(map(str, leaks.scan([site], kept))) == []


def plant_in_text(folder: Path, line: str) -> None:
    path = next((folder / "release/exercises").glob("*.py"))
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")


def plant_in_output(folder: Path, line: str) -> None:
    path = next((folder / "release/book").glob("04_*.ipynb"))
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs.append(nbformat.v4.new_output("stream", text=f"here it is: {line}"))
    nbformat.write(notebook, path)


def plant_in_metadata(folder: Path, line: str) -> None:
    path = next((folder / "release/exercises").glob("*.ipynb"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].metadata["note"] = {"before": [line]}
    nbformat.write(notebook, path)


def plant_in_sdist(folder: Path, line: str) -> None:
    path = next((folder / "sdist").glob("*.tar.gz"))
    with tarfile.open(path) as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        content = [(member, stream.read() if stream else b"") for member, stream in members]
    with tarfile.open(path, "w:gz") as archive:
        for member, data in content:
            if member.name.endswith("README.md"):
                data += line.encode()
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def plant_in_wheel(folder: Path, line: str) -> None:
    with zipfile.ZipFile(next((folder / "release").glob("*.whl")), "a") as archive:
        archive.writestr("dml_teach/answers.py", line)


@needs_masters
@pytest.mark.parametrize("plant", [plant_in_text, plant_in_output, plant_in_metadata, plant_in_sdist, plant_in_wheel])
def test_one_line_of_a_solution_is_found_where_it_was_put(given, kept, tmp_path, plant):
    copy = tmp_path / "given"
    shutil.copytree(given, copy)
    secret = kept.lines[len(kept.lines) // 2]
    plant(copy, secret.line)
    assert [leak.secret for leak in leaks.scan([copy], kept)] == [secret]


@needs_masters
def test_one_line_of_a_solution_is_found_on_a_page_of_the_site(site, kept, tmp_path):
    secret = kept.lines[-1]
    page = tmp_path / "index.html"
    shutil.copyfile(site / "index.html", page)
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"<p>{html.escape(secret.line)}</p></body>"))
    assert [leak.secret for leak in leaks.scan([page], kept)] == [secret]


def test_lines_are_known_again_after_sphinx_has_set_them(site):
    """Lines of a chapter, taken for secrets: code that was highlighted, an output, prose with emphasis and formulas."""
    chapter = nbformat.read(ROOT / "book" / "04_two_peers.ipynb", as_version=4)
    code = [line for cell in chapter.cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    prose = [line for cell in chapter.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    printed = [o.text for cell in chapter.cells for o in cell.get("outputs", []) if o.output_type == "stream"]
    plain = [line for line in prose if len(line) > 60 and not set(line) & set("$[|#<>^&")]
    wanted = [line for line in code if len(line) > 20][:30] + plain[:10] + [text.splitlines()[0] for text in printed]
    secrets = leaks.Secrets(tuple(leaks.Secret(leaks.squeeze(line), line, "") for line in wanted), {})
    seen = {leak.secret.line for leak in leaks.scan([site / "04_two_peers.html"], secrets)}
    assert len(plain) > 5
    assert [line for line in wanted if line not in seen] == []
