"""Many pictures, one after the other: what cannot be used is named in the end, and the others are made all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import BadImage, ConfigError, LimnerError
from .output import Answer, Common, lines, note, shown

Made = TypeVar("Made")
_FLAGS = {"undo": "as"}  # fields that are not called as their flags are


@dataclass
class Batch(Generic[Made]):
    """What became of a number of files.

    made     what was made of each that could be used, in order
    failed   the others, each with the reason
    """

    made: list[Made] = field(default_factory=list)
    failed: list[tuple[Path, LimnerError]] = field(default_factory=list)

    def answer(self, title: str, values: dict[str, Any], facts: Mapping[str, object]) -> Answer:
        """The answer of a command, with what failed; its exit code is that of the first failure."""
        told = {shown(path): shown(str(error)) for path, error in self.failed}
        failed = [{"image": str(path), "reason": str(error)} for path, error in self.failed]
        text = lines(title, facts) + (f"\n{lines('not made:', told)}" if told else "")
        return Answer({**values, "failed": failed}, text, self.failed[0][1].exit_code if self.failed else 0)


def each(
    paths: Sequence[Path], targets: Sequence[Path], work: Callable[[Path, Path], Made], common: Common
) -> Batch[Made]:
    """Let `work` make targets[k] of paths[k]; raises the error where there is but one file, or none could be used."""
    batch: Batch[Made] = Batch()
    for path, target in zip(paths, targets, strict=True):
        try:
            batch.made.append(work(path, target))
        except (BadImage, ConfigError) as error:
            named = error if str(path) in str(error) else type(error)(f"{path}: {error}")
            if len(paths) == 1:
                raise named from None
            batch.failed.append((path, named))
            note(common, f"left out: {named}")
    if not batch.made:
        raise batch.failed[0][1]
    return batch


def refuse(given: Any, usual: Any, names: Sequence[str], why: str) -> None:
    """Raise ConfigError for the first of the flags that is given and would change nothing.

    given, usual   the flags as they were given, and as they are by default
    names          fields of both
    """
    for name in names:
        if getattr(given, name) != getattr(usual, name):
            flag = _FLAGS.get(name, name).replace("_", "-")
            raise ConfigError(f"--{flag} is not for this model: {why}")
