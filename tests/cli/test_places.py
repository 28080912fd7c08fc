"""Where results go when nobody says."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from limner.cli import places
from limner.cli.places import free, name_of, reserved
from limner.errors import ConfigError


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("builtin:digits", "digits"),
        ("builtin:shapes?n=80", "shapes-n-80"),
        ("photos/", "photos"),
        ("my photos/réunion 🎨", "réunion"),
        ("data.tar.gz", "data.tar.gz"),
        ("/", "unnamed"),
        ("a\nb", "a-b"),
    ],
)
def test_names_are_plain(path, name):
    assert name_of(path) == name


def test_commands_that_start_at_once_get_different_folders(elsewhere):
    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        reservations = [reserved(Path("runs"), "vae") for _ in range(16)]
        places = list(pool.map(stack.enter_context, reservations))
        assert len(set(places)) == 16
    assert not list(Path("runs").iterdir())


def test_a_picture_takes_the_number_too(elsewhere):
    (elsewhere / "samples").mkdir()
    (elsewhere / "samples/vae-1.png").touch()
    (elsewhere / "samples/vae-2").mkdir()
    assert free(Path("samples"), "vae") == Path("samples/vae-3")


def test_where_results_go_is_known_at_once_for_any_number_of_files(tmp_path):
    paths = [Path(f"photos/{number}.jpg") for number in range(50_000)]
    started = time.process_time()
    assert len(places.targets(paths, tmp_path)) == 50_000
    assert time.process_time() - started < 20  # a look at all others for each took minutes
    with pytest.raises(ConfigError, match="7.png would be made of two files"):
        places.targets([*paths, Path("others/7.png")], tmp_path)
