"""Numbers of ours in the README come from a recording, by code."""

import json
from pathlib import Path

from dml_teach import demo, report

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "book" / "recordings" / "demo.json"


def table_in_readme() -> str:
    page = (ROOT / "README.md").read_text()
    return page.partition("<!-- table: book/recordings/demo.json -->")[2].partition("<!-- end of table -->")[0].strip()


def test_the_table_is_that_of_the_recording():
    recorded = json.loads(RECORDING.read_text())
    assert table_in_readme() == report.as_markdown(demo.table(recorded))


def test_another_recording_would_give_another_table():
    recorded = json.loads(RECORDING.read_text())
    recorded["settings"][2]["top1"][0] += 0.01
    assert table_in_readme() != report.as_markdown(demo.table(recorded))


def test_the_recording_says_where_it_comes_from():
    recorded = json.loads(RECORDING.read_text())
    assert recorded["provenance"]["command"].startswith("dml-teach demo") or "demo" in recorded["provenance"]["command"]
    assert len(recorded["provenance"]["commit"]) >= 40
    assert all(len(each["top1"]) == len(recorded["seeds"]) for each in recorded["settings"])
