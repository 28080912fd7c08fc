"""The error tree. Every error names the value, the rule it broke and the way out.

LimnerError                       exit code 1
├── ConfigError   (ValueError)    2   a setting, flag or argument that cannot be used
├── MissingExtra  (ImportError)   3   an optional dependency is not installed
├── DataError                     4   a data set that cannot be used
│   └── BadImage                  4   one image that cannot be decoded; usually skipped and counted
├── ModelError                    5   a model that cannot be used
│   ├── BadCheckpoint             5   a checkpoint or bundle that is torn, altered or too new
│   └── NotAble                   5   the model lacks the ability that a task asks for
├── GateRefused                   6   an evaluation is worse than the threshold that was set
├── TrainingStopped               7   training cannot go on (non-finite values that recovery did not cure)
├── UnlikeProtocols               8   numbers that were measured differently were to be compared
├── RunLocked                    73   another process is using the run folder
└── DiskError     (OSError)      74   something that must last could not be written
Interrupted                 130/143   SIGINT or SIGTERM arrived; the run was saved first
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LimnerError(Exception):
    """Base of every error that Limner raises on purpose."""

    exit_code = 1


class ConfigError(LimnerError, ValueError):
    """A setting, flag or argument breaks a rule; the message names the value, the rule and the way out."""

    exit_code = 2


class MissingExtra(LimnerError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    exit_code = 3


class DataError(LimnerError):
    """A data set cannot be used: not found, empty, or too much of it unreadable."""

    exit_code = 4


class BadImage(DataError):
    """One image cannot be decoded, is hostile, or is not of an accepted format."""


class ModelError(LimnerError):
    """A model cannot be used."""

    exit_code = 5


class BadCheckpoint(ModelError):
    """A checkpoint or model folder is torn, altered, incomplete, or written by a newer Limner."""


class NotAble(ModelError):
    """The model lacks the ability that a task asks for."""


class GateRefused(LimnerError):
    """An evaluation is worse than the threshold that was set for it."""

    exit_code = 6


class UnlikeProtocols(LimnerError):
    """Numbers that were measured differently were to be compared; the message names what differs."""

    exit_code = 8


class TrainingStopped(LimnerError):
    """Training cannot go on; names phase, step, batch and the last good checkpoint."""

    exit_code = 7


class RunLocked(LimnerError):
    """Another live process holds the run folder."""

    exit_code = 73


class DiskError(LimnerError, OSError):
    """Something that must last could not be written; what was there before is intact."""

    exit_code = 74


class Interrupted(LimnerError):
    """A signal asked the run to end; everything was saved before this was raised.

    `exit_code` is 130 for SIGINT and 143 for SIGTERM.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not known, with the nearest known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown {kind} {name!r}; {hint}"


def require(module: str, extra: str) -> None:
    """Raise MissingExtra unless `module` can be imported; `extra` is the extra that brings it."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise MissingExtra(
            f"this needs the package {module!r}, which is not installed; "
            f"run: pip install -c constraints.txt 'limner[{extra}]'"
        )
