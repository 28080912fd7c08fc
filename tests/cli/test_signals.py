"""Stopping a command: a run is saved first, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from commands import ENVIRONMENT, PROGRAM, TINY, limner

from limner import durable

LONG = ("train", "vae", "builtin:digits", "--out", "run", "--steps", "1000000", *TINY)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_is_saved_and_its_own_words_resume_it(elsewhere, number, code):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*PROGRAM, *LONG, "--json"], env=ENVIRONMENT, **pipes)
    log = elsewhere / "run/log.jsonl"
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    said = json.loads(out)["error"]
    assert said["type"] == "Interrupted" and said["exit_code"] == code and "Traceback" not in err
    words = err.splitlines()[-1].split("To go on: limner ")[1].split()
    reached = int(max(os.listdir(elsewhere / "run/checkpoints")))
    outcome = limner(*words, "--steps", reached + 2, "--json", "-q")
    assert outcome.code == 0 and outcome.json["steps"] == reached + 2


def test_ctrl_c_elsewhere_ends_quietly(monkeypatch):
    from limner import models

    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "entry", interrupt)
    outcome = limner("models", "vae")
    assert outcome.code == 130 and outcome.err == "error: interrupted\n"


def test_a_run_in_use_is_refused(run):
    with durable.lock(run / ".lock", "someone else"):
        outcome = limner("train", "--resume", run, "--steps", "9")
    assert outcome.code == 73 and "someone else" in outcome.err
