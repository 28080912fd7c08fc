"""Help comes at once: it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import ENVIRONMENT, PROGRAM, limner

COMMANDS = ("train", "sample", "reconstruct", "interpolate", "traverse", "models", "advise", "show", "verify", "doctor")
COMMANDS += ("import", "export")
HEAVY = ("torch", "numpy", "pydantic", "PIL", "safetensors")


@pytest.mark.parametrize("words", [(), ("-h",), ("--version",), ("data", "check", "-h")], ids=" ".join)
def test_help_imports_nothing_heavy(words):
    imported_by(*words)


def test_help_of_every_command_imports_nothing_heavy():
    for command in COMMANDS:
        imported_by(command, "-h")


def imported_by(*words):
    """Run a command in a fresh interpreter and fail if it imports one of HEAVY."""
    code = f"import sys; from limner.cli import main; assert main({list(words)!r}) == 0; print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    assert not set(HEAVY) & set(out.splitlines()[-1].split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_how_to_use_every_command(command):
    outcome = limner(command, "-h")
    assert outcome.code == 0 and f"Usage: limner {command}" in outcome.out
    assert command in limner("-h").out


def test_examples_in_the_help_name_flags_that_exist():
    """Each flag in an example is one that the command's own help lists."""
    for command in COMMANDS:
        text = limner(command, "-h").out
        examples = [line for line in text.splitlines() if line.startswith("  limner ")]
        options = text.split("Parameters", 1)[1].split("╯")[0]
        for flag in (word for line in examples for word in line.split() if word.startswith("-")):
            assert f" {flag} " in options, (command, flag)


def test_python_dash_m_is_the_same_program():
    done = subprocess.run([*PROGRAM, "--version"], env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, limner("--version").out)


def test_doctor_says_what_there_is(limner_home):
    found = limner("doctor", "--json").json
    assert found["packages"]["torch"] and found["cores"] >= 1 and found["devices"][0]["name"] == "cpu"
    assert found["cache"]["path"].startswith(str(limner_home)) and found["here"]["free"] > 0
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = project["optional-dependencies"]
    assert set(found["extras"]) == declared.keys() - {"all", "dev"} and found["extras"]["demo"]
    assert "extra demo" in limner("doctor").out


def test_doctor_tells_how_to_get_a_missing_extra(monkeypatch):
    from limner.cli import doctor

    monkeypatch.setattr(doctor, "_extras", lambda: {"demo": ["no-such-package"]})
    assert "pip install -c constraints.txt 'limner[demo]'" in limner("doctor").out


def test_data_check_gives_its_report_and_its_verdict(elsewhere):
    assert limner("data", "check", "builtin:digits", "--json").json["pictures"] == 1797
    (elsewhere / "photos").mkdir()
    (elsewhere / "photos/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    outcome = limner("data", "check", "photos", "--json")
    assert outcome.code == 4 and outcome.json["verdict"] == "stop"
