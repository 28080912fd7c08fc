"""One thread, one cache for the session, and the small data sets that the tests of the core train on."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# before torch is imported: tiny networks gain nothing from threads, and a process with one thread may be forked
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def limner_home(tmp_path_factory):
    """Nothing is ever read from or written to the cache of whoever runs the tests."""
    home = tmp_path_factory.mktemp("limner-home")
    before = os.environ.get("LIMNER_HOME")
    os.environ["LIMNER_HOME"] = str(home)
    yield home
    os.environ.pop("LIMNER_HOME") if before is None else os.environ.update(LIMNER_HOME=before)


@pytest.fixture(scope="session")
def digits(limner_home):
    """64 grey pictures of 8x8 with labels."""
    from runs import few

    from limner.data import open_data

    return few(open_data("builtin:digits"), 64)


@pytest.fixture(scope="session")
def shapes(limner_home):
    """Colour pictures of 8x8 with labels and every kind of number and word as attributes."""
    from runs import few

    from limner.data import DataConfig, open_data

    return few(open_data("builtin:shapes?n=80", DataConfig(resolution=8)), 64)


@pytest.fixture(scope="session")
def unseen_digits(limner_home):
    """32 digits by writers that `digits` does not know: for validation."""
    from runs import few

    from limner.data import open_data

    return few(open_data("builtin:digits", split="test"), 32)
