"""The command line: thin words over limner.api. `main` is the one place that turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from cyclopts import CycloptsError

from ..errors import ConfigError, LimnerError
from .app import build
from .output import Answer, deliver, fail, lenient

__all__ = ["main"]

# what other tools call our options
_FAMILIAR = {
    "--train-batch-size": "--batch",
    "--batch-size": "--batch",
    "--learning-rate": "--lr",
    "--max-train-steps": "--steps",
    "--output-dir": "--out",
    "--gradient-accumulation-steps": "--accumulate",
    "--mixed-precision": "--precision",
    "--random-flip": "--flip",
    "--num-images": "--number",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. `argv` is without the program's name."""
    for stream in (sys.stdout, sys.stderr):
        lenient(stream)
    tokens = [_familiar(token) for token in (sys.argv[1:] if argv is None else argv)]
    say = {
        "as_json": "--json" in tokens,
        "verbose": bool({"-v", "--verbose"} & set(tokens)) or os.environ.get("LIMNER_DEBUG", "") not in ("", "0"),
    }
    try:
        _import_own_models()
        answer = build()(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        if not isinstance(answer, Answer):  # help or version, printed already
            return 0
        deliver(answer, as_json=say["as_json"])
        return answer.exit_code
    except CycloptsError as error:
        return fail(error, f"{error} See: limner {' '.join([*(error.command_chain or ()), '-h'])}", 2, **say)
    except LimnerError as error:
        return fail(error, str(error), error.exit_code, **say)
    except KeyboardInterrupt as error:
        return fail(error, "interrupted", 130, **say)
    except BrokenPipeError:
        return _hung_up()
    except OSError as error:
        return fail(error, f"{error.filename or 'input or output'}: {error.strerror or error}", 74, **say)


def _import_own_models() -> None:
    """Import the modules named in LIMNER_IMPORT, so that folders holding models of theirs can be loaded."""
    for name in filter(None, os.environ.get("LIMNER_IMPORT", "").split(",")):
        try:
            import_module(name.strip())
        except ImportError as error:
            raise ConfigError(f"LIMNER_IMPORT={name!r} cannot be imported: {error}") from error


def _familiar(token: str) -> str:
    """An option under the name that Limner gives it: --learning_rate=1e-3 -> --lr=1e-3."""
    name, equals, value = token.partition("=")
    if not name.startswith("--"):
        return token
    name = name.replace("_", "-")
    return _FAMILIAR.get(name, name) + equals + value


def _hung_up() -> int:
    """Whoever read stdout has gone: nothing to say, and nothing left to flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
