"""What TensorBoard reads of a run is what metrics.jsonl says."""

import json
import sys

import pytest

from dml_teach import runs, tensorboard
from dml_teach.errors import ConfigError, RunError
from dml_teach.trainer import resume
from tests.resuming import Killed, begin

pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")

CONFIG = {
    "peers": [{"network": "small", "frozen": frozen} for frozen in (True, False, False)],
    "provenance": {"started": "2026-01-02T03:04:05+00:00"},
}


def epoch_line(epoch):
    """A line as the loop writes it, of a frozen teacher and two students."""
    return {
        "split": "probe",
        "epoch": epoch,
        "learning_rate": 0.1 / epoch,
        "seconds": 2.5,
        "total": [None, 3.0 / epoch, 2.0 / epoch],
        "train_top1": [None, 0.1 * epoch, 0.2 * epoch],
        "top1": [0.9, 0.11 * epoch, 0.13 * epoch],
        "pairwise_kl": [[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 6.0, 0.0]],
        "mean_agreement": 0.05 * epoch,
        "mean_pairwise_kl": None,
        "ensemble_nll": 1.0 / epoch,
    }


TEST_LINE = {"split": "test", "top1": [0.8, 0.5, 0.7], "ensemble_top1": 0.75}


@pytest.fixture
def folder(tmp_path):
    """A run that has just begun."""
    runs.write_config(tmp_path / "run", CONFIG)
    (tmp_path / "run" / "metrics.jsonl").touch()
    return tmp_path / "run"


def read(folder):
    """What TensorBoard reads: {(line, tag): {epoch: value}}, where no epoch comes twice."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for line in sorted(path.name for path in (folder / "tensorboard").iterdir()):
        accumulator = EventAccumulator(str(folder / "tensorboard" / line), size_guidance={"scalars": 0})
        accumulator.Reload()
        for tag in accumulator.Tags()["scalars"]:
            points = [(event.step, event.value) for event in accumulator.Scalars(tag)]
            assert len(dict(points)) == len(points)
            if points:
                found[line, tag] = dict(points)
    return found


def expected(folder):
    """The slow way: every number of metrics.jsonl by hand."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = sum(line["split"] == "probe" for line in lines)
    found = {}

    def add(line, tag, epoch, value):
        found.setdefault((line, tag), {})[epoch] = pytest.approx(value, rel=1e-6)

    for line in lines:
        if line["split"] == "test":
            for k in range(3):
                add(f"peer-{k}", "test/top1", epochs, line["top1"][k])
            add("mean", "test/top1", epochs, (line["top1"][1] + line["top1"][2]) / 2)
            add("ensemble", "test/top1", epochs, line["ensemble_top1"])
            continue
        epoch = line["epoch"]
        for name, tag in (("total", "train/total"), ("train_top1", "train/top1"), ("top1", "probe/top1")):
            for k in range(3):
                if line[name][k] is not None:
                    add(f"peer-{k}", tag, epoch, line[name][k])
            add("mean", tag, epoch, (line[name][1] + line[name][2]) / 2)
        add("mean", "train/learning_rate", epoch, line["learning_rate"])
        add("mean", "train/seconds", epoch, line["seconds"])
        add("mean", "probe/agreement", epoch, line["mean_agreement"])
        add("ensemble", "probe/nll", epoch, line["ensemble_nll"])
    return found


def test_events_hold_every_number_of_every_line_and_no_matrix(folder):
    events = tensorboard.Events(folder)
    events.update()
    assert read(folder) == {}
    for epoch in (1, 2, 3):
        runs.append(folder, epoch_line(epoch))
        events.update()
        assert read(folder) == expected(folder)
    runs.append(folder, TEST_LINE)
    events.update()
    assert read(folder) == expected(folder)


def test_the_events_of_a_real_run_can_be_written_afterwards(sets, tmp_path):
    run = begin(tmp_path / "run", sets)
    assert tensorboard.write(run.folder) == run.folder / "tensorboard"
    found = read(run.folder)
    for name, tag in (("nll", "probe/nll"), ("train_top1", "train/top1"), ("mimicry", "train/mimicry")):
        for k in range(2):
            assert list(found[f"peer-{k}", tag].items()) == [
                (epoch, pytest.approx(value)) for epoch, value in enumerate(run.curve(name)[:, k].tolist(), start=1)
            ]
    assert found["ensemble", "test/top1"] == {3: pytest.approx(run.test["ensemble_top1"])}


def test_a_run_that_was_cut_back_and_goes_on_has_no_point_twice_and_none_too_many(folder):
    killed = tensorboard.Events(folder)
    for epoch in (1, 2, 3):
        runs.append(folder, epoch_line(epoch))
        killed.update()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text(lines[0])
    for path in (folder / "tensorboard").rglob("*tfevents*"):
        path.write_bytes(path.read_bytes()[:-7])  # killed while it wrote
    goes_on = tensorboard.Events(folder)
    goes_on.update()
    assert read(folder) == expected(folder)
    for epoch in (2, 3):
        runs.append(folder, epoch_line(epoch))
        goes_on.update()
    assert read(folder) == expected(folder)


def test_a_run_that_lost_all_its_epochs_shows_none(folder):
    runs.append(folder, epoch_line(1))
    tensorboard.write(folder)
    (folder / "metrics.jsonl").write_text("")
    tensorboard.write(folder)
    assert read(folder) == {}


def test_the_twelfth_attempt_is_read_after_the_eleven_before_it(folder):
    for attempt in range(12):
        (folder / "metrics.jsonl").write_text("")
        runs.append(folder, {**epoch_line(1), "learning_rate": float(attempt)})
        tensorboard.write(folder)
    assert read(folder)["mean", "train/learning_rate"] == {1: 11}


def test_a_tensorboard_that_watches_sees_the_run_cut_back(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for epoch in (1, 2):
        runs.append(folder, epoch_line(epoch))
    tensorboard.write(folder)
    watching = EventAccumulator(str(folder / "tensorboard" / "mean"))
    watching.Reload()
    assert [event.step for event in watching.Scalars("train/seconds")] == [1, 2]
    (folder / "metrics.jsonl").write_text(json.dumps(epoch_line(1)) + "\n")
    tensorboard.write(folder)
    watching.Reload()
    assert [event.step for event in watching.Scalars("train/seconds")] == [1]


def test_a_line_that_was_torn_by_a_kill_waits_until_it_is_whole(folder):
    whole = json.dumps(epoch_line(1))
    (folder / "metrics.jsonl").write_text(whole[:40])
    events = tensorboard.Events(folder)
    events.update()
    assert read(folder) == {}
    (folder / "metrics.jsonl").write_text(whole + "\n")
    events.update()
    assert read(folder) == expected(folder)


def test_the_clock_is_that_of_training(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for epoch in (1, 2, 3):
        runs.append(folder, epoch_line(epoch))
    tensorboard.write(folder)
    accumulator = EventAccumulator(str(folder / "tensorboard" / "mean"))
    accumulator.Reload()
    times = [event.wall_time for event in accumulator.Scalars("train/seconds")]
    assert [time - times[0] for time in times] == [0, 2.5, 5]
    assert times[0] == 1767323045 + 2.5  # 2026-01-02T03:04:05Z


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no config"):
        tensorboard.write(tmp_path)


def test_a_folder_that_can_not_be_written_is_named(folder):
    (folder / "tensorboard").write_text("in the way")
    with pytest.raises(RunError, match=r"tensorboard can not be written"):
        tensorboard.write(folder)


def test_without_tensorboard_the_extra_is_named_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    with pytest.raises(ConfigError, match=r"dml_teach\[tensorboard\]"):
        tensorboard.Events(tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [2, 5, 9])
def test_a_run_that_is_watched_and_killed_goes_on_without_a_point_lost_or_doubled(number, sets, stop_at, tmp_path):
    stop_at(number)
    with pytest.raises(Killed):
        begin(tmp_path / "cut", sets, tensorboard=True)
    stop_at(0)
    resume(tmp_path / "cut", *sets, progress=False)
    live = read(tmp_path / "cut")
    assert all(list(points) == ([3] if tag.startswith("test/") else [1, 2, 3]) for (_, tag), points in live.items())
    tensorboard.write(tmp_path / "cut")  # from the finished metrics.jsonl
    assert read(tmp_path / "cut") == live


def test_a_run_that_nobody_watches_has_no_events(sets, tmp_path):
    begin(tmp_path / "run", sets)
    assert not (tmp_path / "run" / "tensorboard").exists()
