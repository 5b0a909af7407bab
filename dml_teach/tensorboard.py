"""A run's metrics for TensorBoard, as an option: `tensorboard --logdir runs` draws them while the run goes on.

metrics.jsonl stays the record; `tensorboard/` in the run folder is made from it and can be deleted at any time. Each
peer, their mean and their ensemble have a folder each, which TensorBoard shows as a line each in one chart:

    tensorboard/peer-0 ...   of each peer: train/supervised, train/top1, probe/top1, probe/nll, ..., test/top1
    tensorboard/mean         the mean over the peers that learn; also train/learning_rate, probe/agreement
    tensorboard/ensemble     probe/top1, probe/nll, test/top1, test/nll; of a retrieval, test/mAP, test/rank1, ...

The step is the epoch, the time is that of training. Matrices are left to `plots`.

A run that goes on after an interruption begins new files with all lines that stand, and with a mark that annuls the
older files: no point is lost or doubled, wherever the run was killed. (To delete the older files would be simpler, but
a TensorBoard that is watching them would show them for ever.)
"""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dml_teach import runs
from dml_teach.errors import ConfigError, RunError
from dml_teach.runs import Run

FOLDER = "tensorboard"
PREFIX = "events.out.tfevents."
OF_TRAINING = {"learning_rate", "seconds", "supervised", "mimicry", "feature", "total", "train_top1"}
"""What of a "probe" line was seen on the training images, not on the probe images."""
NO_METRICS = {"split", "epoch"}


class Events:
    """The events of a run, which follow its metrics.jsonl. Between two calls no file is open.

    Args:
        folder: the run's; it need not exist yet.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path | str) -> None:
        require()
        self.folder = Path(folder)
        self._file = ""  # name of the event files that are written
        self._written = 0  # lines of metrics.jsonl

    def update(self) -> None:
        """Write what metrics.jsonl has gained since the last call; the first call writes all of it.

        Raises:
            RunError: the folder is no run, or can not be written.
        """
        run = runs.load(self.folder)
        records = [*run.epochs, *([] if run.test is None else [run.test])]
        try:
            if not self._file:
                self._begin()
            for record in records[self._written :]:
                self._add(run, record)
        except OSError as error:
            raise RunError(f"{self.folder / FOLDER} can not be written ({error.strerror or error})") from error
        self._written = len(records)

    def _begin(self) -> None:
        """Choose a name that TensorBoard reads after the older files, and annul what these hold."""
        place = self.folder / FOLDER
        place.mkdir(exist_ok=True)
        older = list(place.glob(f"*/{PREFIX}*"))
        number = 1 + max((int(path.name.removeprefix(PREFIX)) for path in older), default=0)
        self._file = f"{PREFIX}{number:06}"
        for line in {path.parent.name for path in older}:
            self._append(line, [])

    def _add(self, run: Run, record: dict[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        epoch = record.get("epoch", len(run.epochs))  # the test set is read after the last one
        began = datetime.datetime.fromisoformat(run.config["provenance"]["started"]).timestamp()
        time = began + sum(each["seconds"] for each in run.epochs[:epoch])
        found: dict[str, list[Summary.Value]] = {}
        for line, tag, value in scalars(record, run.learning):
            found.setdefault(line, []).append(Summary.Value(tag=tag, simple_value=value))
        for line, values in found.items():
            self._append(line, [Event(wall_time=time, step=epoch, summary=Summary(value=values))])

    def _append(self, line: str, events: list[Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        path = self.folder / FOLDER / line / self._file
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            # From step 0 on, forget what was read before.
            events = [
                Event(file_version="brain.Event:2"),
                Event(session_log=SessionLog(status=SessionLog.START)),
                *events,
            ]
        with path.open("ab") as file:
            for event in events:
                RecordWriter(file).write(event.SerializeToString())


def write(folder: Path | str) -> Path:
    """Write the events of a run that has been trained without them, and return their folder."""
    events = Events(folder)
    events.update()
    return events.folder / FOLDER


def scalars(record: dict[str, Any], learning: list[int]) -> Iterator[tuple[str, str, float]]:
    """The scalars of a line of metrics.jsonl: (line in the chart, tag, value). What is null is left out."""
    for name, value in record.items():
        if name in NO_METRICS or value is None:
            continue
        split = "train" if name in OF_TRAINING else record["split"]
        if not isinstance(value, list):
            line = "ensemble" if name.startswith("ensemble_") else "mean"
            yield line, f"{split}/{name.removeprefix('ensemble_').removeprefix('mean_')}", value
        elif not isinstance(value[0], list):
            tag = f"{split}/{name.removeprefix('train_')}"
            yield from ((f"peer-{k}", tag, each) for k, each in enumerate(value) if each is not None)
            if all(value[k] is not None for k in learning):
                yield "mean", tag, sum(value[k] for k in learning) / len(learning)


def require() -> None:
    """Raise `ConfigError` if TensorBoard is not installed."""
    try:
        import tensorboard.summary.writer.record_writer  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "TensorBoard is not installed: pip install 'dml_teach[tensorboard]', or train without it; metrics.jsonl"
            " holds the same numbers"
        ) from error
