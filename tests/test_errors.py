"""One tree of errors, with exit codes that scripts can rely on, and sentences that name the way out."""

import inspect
import re
import time

import pytest

from limner import errors
from limner.errors import (
    BadCheckpoint,
    BadImage,
    ConfigError,
    DataError,
    DiskError,
    GateRefused,
    Interrupted,
    LimnerError,
    MissingExtra,
    ModelError,
    NotAble,
    RunLocked,
    TrainingStopped,
    UnlikeProtocols,
    require,
    unknown,
)

CODES = {
    LimnerError: 1,
    ConfigError: 2,
    MissingExtra: 3,
    DataError: 4,
    BadImage: 4,
    ModelError: 5,
    BadCheckpoint: 5,
    NotAble: 5,
    GateRefused: 6,
    TrainingStopped: 7,
    UnlikeProtocols: 8,
    RunLocked: 73,
    DiskError: 74,
}


def test_exit_codes_are_what_they_were():
    assert {error: error.exit_code for error in CODES} == CODES


def test_every_error_is_in_the_tree_and_in_its_picture():
    public = {error for _, error in inspect.getmembers(errors, inspect.isclass) if error.__module__ == errors.__name__}
    assert public == {*CODES, Interrupted}
    for error in public - {Interrupted}:
        drawn = re.search(rf"{error.__name__}\b.*?(\d+)(?:\s|$)", errors.__doc__)
        assert issubclass(error, LimnerError) and drawn and int(drawn[1]) == error.exit_code


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_an_interrupted_run_ends_with_the_shells_code_for_its_signal(number, code):
    assert Interrupted("stopped", number).exit_code == code


def test_errors_are_also_what_python_calls_them():
    assert issubclass(ConfigError, ValueError) and issubclass(MissingExtra, ImportError)
    assert DiskError(28, "no room").errno == 28 and issubclass(DiskError, OSError)


def test_a_misspelt_name_is_told_the_nearest_and_a_strange_one_all_there_are():
    assert unknown("key", "latnet", ["width", "latent"]) == "unknown key 'latnet'; did you mean latent?"
    assert unknown("key", "zzz", ["width", "latent"]) == "unknown key 'zzz'; known: latent, width"
    assert unknown("label", "cat", []) == "unknown label 'cat'; known: none"


def test_a_very_long_name_is_refused_as_fast_as_a_short_one():
    start = time.perf_counter()
    unknown("key", "a" * 1_000_000, ["latent", "width"])
    assert time.perf_counter() - start < 1


def test_a_missing_package_names_the_extra_that_brings_it():
    require("json", "all")
    with pytest.raises(MissingExtra, match=r"'no_such_package'.*pip install .*limner\[track\]"):
        require("no_such_package", "track")
