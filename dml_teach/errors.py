"""The errors a user can cause, on the ground floor of the library.

Each message names the file or field at fault and the way out, on one line, so that the command line can show it as it
is. They derive from ``ValueError`` so that a notebook user may catch either.
"""


class DmlTeachError(ValueError):
    """Base of every error raised on purpose; the command line turns it into one line and exit code 2."""


class ConfigError(DmlTeachError):
    """A setting is wrong: a name, a number, a topology, a combination."""


class DataError(DmlTeachError):
    """A data file is missing, truncated, altered or not what it claims to be."""


class RunError(DmlTeachError):
    """A run folder is missing, incomplete or was written by something else."""


class CheckpointError(DmlTeachError):
    """A checkpoint can not be trusted: altered, truncated or made for other settings. Or it could not be written."""


class DivergedError(DmlTeachError):
    """A peer's loss or weights are no longer finite numbers."""


class RankError(DmlTeachError):
    """A rank of a run on several died, hangs or failed, so the others can not go on."""


class LeakError(DmlTeachError):
    """Something of a solution is in what students would get."""


class Interrupted(BaseException):
    """SIGINT or SIGTERM stopped a run between two steps, after a checkpoint: no error, so no `Exception`.

    `signal` is the signal's number.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal
