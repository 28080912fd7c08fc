"""One small trained run for all tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import TINY, limner


@pytest.fixture(scope="session")
def run(limner_home, tmp_path_factory) -> Path:
    """A VAE after 5 steps on the digits. Tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    outcome = limner("train", "vae", "builtin:digits", "--out", folder, "--steps", "5", *TINY, "--quiet")
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> Path:
    """Every test works in a folder of its own, for results have default places."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
