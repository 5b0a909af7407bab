"""Numbers of ours in the README come from a recording, by code."""

import json
from pathlib import Path

import pytest

from dml_teach import demo, recordings, report
from tools import speeds

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


def test_the_table_of_cifar100_is_that_of_its_recording_and_follows_it():
    recorded = recordings.load(RECORDING.with_name("fitted.json"))
    in_readme = table_in_readme("book/recordings/fitted.json", "fitted")
    assert in_readme == report.as_markdown(recordings.table(recorded))
    recorded["arms"][1]["top1"][0][0] += 0.01
    assert in_readme != report.as_markdown(recordings.table(recorded))


def test_the_recording_says_where_it_comes_from():
    recorded = json.loads(RECORDING.read_text())
    assert recorded["provenance"]["command"].startswith("dml-teach demo") or "demo" in recorded["provenance"]["command"]
    assert len(recorded["provenance"]["commit"]) >= 40
    assert all(len(each["top1"]) == len(recorded["seeds"]) for each in recorded["settings"])


# --- speeds ---


@pytest.fixture
def kept() -> dict:
    return json.loads(speeds.KEPT.read_text())


def test_the_table_of_speeds_is_that_of_the_recording_and_follows_it(kept):
    in_readme = table_in_readme("speeds", "speeds")
    assert in_readme == speeds.table(kept)
    (_, few, (first, *_)), *_, (_, many, (last, *_)) = speeds.ROWS
    kept[few]["ratios"][first], kept[many]["ratios"][last] = [7.0, 6.5, 7.25], [73.4, 9.6, 120.2]
    lines = speeds.table(kept).splitlines()
    assert lines[2].endswith("| 7.00 (6.50 to 7.25) |") and lines[-1].endswith("| 73 (10 to 120) |")


def test_what_is_kept_of_speeds_says_where_it_comes_from(kept):
    for script, each in kept.items():
        where = each["provenance"]
        assert f"benchmarks/{script}.py" in where["command"] and len(where["commit"]) >= 40
        assert where["hardware"]["processor"] and where["load"] >= 0


def test_the_tool_keeps_what_a_benchmark_prints_and_shows_it(tmp_path, monkeypatch, capsys, kept):
    monkeypatch.setattr(speeds, "KEPT", tmp_path / "new" / "cpu.json")
    assert speeds.main(["batches", "--rounds", "1", "--steps", "1"]) == 0
    found = json.loads(speeds.KEPT.read_text())["batches"]
    ((name, (median, low, high)),) = found["ratios"].items()
    assert name in kept["batches"]["ratios"] and low <= median <= high
    assert found["provenance"]["command"].endswith("benchmarks/batches.py --rounds 1 --steps 1")
    speeds.KEPT.write_text(json.dumps(kept))
    capsys.readouterr()
    assert speeds.main(["--show"]) == 0
    assert capsys.readouterr().out == f"{speeds.table(kept)}\n"


def test_a_script_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        speeds.main(["mutual"])
    assert "no script is called mutual; there are mutual_step, public_loops" in capsys.readouterr().err
