"""Every test of the data has its own empty cache."""

import shutil

import pytest


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LIMNER_HOME", str(home))
    yield home / "cache"
    shutil.rmtree(home, ignore_errors=True)
