"""Numbers of ours in the README come from a recording, by code."""

import json
from pathlib import Path

import pytest

from dml_teach import demo, recordings, report

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "book" / "recordings" / "demo.json"
RETRIEVAL = {"TinyMarket": "tiny_market", "Omniglot": "omniglot"}


def table_in_readme(name: str = "book/recordings/demo.json", end: str = "table") -> str:
    page = (ROOT / "README.md").read_text()
    return page.partition(f"<!-- table: {name} -->")[2].partition(f"<!-- end of {end} -->")[0].strip()


def retrieval() -> dict[str, dict]:
    return {name: recordings.load(RECORDING.with_name(f"{file}.json")) for name, file in RETRIEVAL.items()}


def test_the_table_of_retrieval_is_that_of_the_recordings():
    assert table_in_readme("retrieval", "retrieval") == report.retrieval_as_markdown(retrieval())


@pytest.mark.parametrize("metric", ["mAP", "rank1"])
def test_another_recording_of_retrieval_would_give_another_table(metric):
    recorded = retrieval()
    recorded["Omniglot"]["arms"][1][metric][0][0] += 0.01
    assert table_in_readme("retrieval", "retrieval") != report.retrieval_as_markdown(recorded)


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
