"""What a command answers, and the one place that prints it: results on stdout, everything else on stderr.

A command returns an Answer and prints nothing itself, so that `--json` gives exactly one object whatever happens.
"""

from __future__ import annotations

import io
import json
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import Interrupted, LimnerError

if TYPE_CHECKING:
    from rich.console import Console

_COUNT_EVERY = 3.0  # seconds


def _flag(text: str, *names: str) -> Parameter:
    """A switch that is off by default, which goes without saying."""
    return Parameter(name=names, show_default=False, help=text)


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command."""

    json: Annotated[bool, _flag("Give one JSON object on stdout.", "--json")] = False
    quiet: Annotated[bool, _flag("Say nothing on stderr but errors.", "--quiet", "-q")] = False
    verbose: Annotated[bool, _flag("Show where an error came from.", "--verbose", "-v")] = False


@dataclass(frozen=True)
class Answer:
    """What a command found or made.

    values      what `--json` prints
    text        the same for people: a text, or a function that prints to the console it is given
    exit_code   other than 0 when the answer itself is bad news
    """

    values: Mapping[str, Any]
    text: str | Callable[[Console], None]
    exit_code: int = 0


def deliver(answer: Answer, *, as_json: bool) -> None:
    """Print the answer on stdout."""
    if as_json:
        print(json.dumps(answer.values, allow_nan=False))
    elif isinstance(answer.text, str):
        print(answer.text)
    else:
        answer.text(console(sys.stdout))
    sys.stdout.flush()


def fail(error: BaseException, message: str, exit_code: int, *, as_json: bool, verbose: bool) -> int:
    """Say what went wrong: one line on stderr, with `--json` one object on stdout too; returns the exit code."""
    if verbose:
        traceback.print_exception(error)
    line = shown(" ".join(message.split()))
    print(line if isinstance(error, Interrupted) else f"error: {line}", file=sys.stderr, flush=True)
    if as_json:
        known = isinstance(error, LimnerError)
        kind = type(error).__name__ if known or exit_code != 2 else "UsageError"
        print(json.dumps({"error": {"type": kind, "message": message, "exit_code": exit_code}}), flush=True)
    return exit_code


def console(file: Any) -> Console:
    """A console that leaves text as it is, with colours only where they are wanted."""
    from rich.console import Console

    return Console(file=file, emoji=False, highlight=False)


def note(common: Common, text: str) -> None:
    """Something to know while a command works, on stderr."""
    if not common.quiet:
        print(shown(text), file=sys.stderr, flush=True)


def counter(common: Common) -> Callable[[int, int], None]:
    """Something to call with (images done, images in all), which says so on stderr every few seconds."""
    last = time.monotonic()

    def count(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _COUNT_EVERY:
            last = time.monotonic()
            note(common, f"read {done:,} of {total:,} images")

    return count


def shown(value: str | Path) -> str:
    """A text or path as one line that every terminal can show."""
    from ..data.names import printable

    return printable(str(value))


def command(*words: str | Path) -> str:
    """A `limner` command to copy into a shell."""
    return shown(shlex.join(["limner", *map(str, words)]))


def lines(title: str, pairs: Mapping[str, object], following: Sequence[str] = ()) -> str:
    """A title, aligned `key  value` lines that have a value, and commands to try next."""
    cells = {shown(key): shown(str(value)) for key, value in pairs.items() if value not in (None, "")}
    wide = max(map(len, cells), default=0)
    rows = [f"  {key:<{wide}}  {value}" for key, value in cells.items()]
    after = ["", "next:", *(f"  {one}" for one in following)] if following else []
    return "\n".join([shown(title), *rows, *after])


def lenient(stream: Any) -> None:
    """Let `stream` escape what its encoding cannot hold, such as a file name that is not UTF-8."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
