"""Commands run in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from limner.cli import main

TINY = ("--set", "width=8", "--set", "latent=4", "--set", "tensorboard=false", "--precision", "fp32", "--device", "cpu")


# for commands in a process of their own, from whatever folder
PROGRAM = (sys.executable, "-m", "limner")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)}


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object on stdout."""
        return json.loads(self.out)


def limner(*words: str | Path | int) -> Outcome:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Outcome(code, out.getvalue(), err.getvalue())
