"""Every test of the data has its own empty cache."""

import pytest


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LIMNER_HOME", str(home))
    return home / "cache"
