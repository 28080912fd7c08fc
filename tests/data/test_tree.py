"""Hostile folders and archives: nothing hangs, nothing outside is read, and what is passed over is counted."""

import io
import os
import socket
import tarfile
import tempfile
import time

import numpy as np
import pytest
from data_cases import picture, png, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.data import DataConfig, open_data
from limner.data.names import printable
from limner.data.sources import FolderTree, TarTree
from limner.data.sources.tree import shared_folder
from limner.errors import BadImage, DataError


def names_of(root):
    return FolderTree(root).names


def loop(root):
    (root / "a").mkdir()
    (root / "a/back").symlink_to(root)
    (root / "self").symlink_to("self")


def special_files(root):
    os.mkfifo(root / "pipe.png")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(root / "socket.png"))
    (root / "folder.png").mkdir()


def links_out(root):
    outside = write(root.parent / "outside", {"secret.png": picture(9)})
    (root / "file.png").symlink_to(outside / "secret.png")
    (root / "folder").symlink_to(outside)
    (root / "broken.png").symlink_to("nowhere")


def junk(root):
    write(
        root,
        {"._a.png": "x", ".hidden.png": png(picture(3)), "Thumbs.db": "x", "__MACOSX/a.png": "x", ".git/b.png": "x"},
    )


def deep(root):
    for _ in range(1000):
        root = root / "d"
        root.mkdir()


@pytest.mark.parametrize("hostile", [loop, special_files, links_out, junk, deep])
def test_hostile_folders_are_walked_in_time(tmp_path, hostile, monkeypatch):
    root = write(tmp_path / "set", {"good.png": picture(0), "inside/good.png": picture(1)})
    monkeypatch.chdir(root)
    hostile(root)
    start = time.perf_counter()
    dataset = open_data(root)
    assert time.perf_counter() - start < 2
    if hostile is deep:  # clearing the test's folder would recurse too deep
        for depth in range(1000, 0, -1):
            os.rmdir(root / "/".join("d" * depth))
    assert sorted(dataset.ids) == ["good.png", "inside/good.png"]
    assert hostile is deep or sum(dataset.report.skipped.values()) >= 2


def test_links_to_files_inside_and_hard_links_are_images(tmp_path):
    write(tmp_path, {"all/a.png": picture(0)})
    (tmp_path / "link.png").symlink_to("all/a.png")
    os.link(tmp_path / "all/a.png", tmp_path / "hard.png")
    dataset = open_data(tmp_path)
    assert dataset.ids == ["all/a.png", "hard.png", "link.png"]
    assert (dataset.images == picture(0)).all()


def test_a_file_that_becomes_a_pipe_does_not_wait(tmp_path):
    tree = FolderTree(write(tmp_path, {"a.png": picture(0)}))
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(BadImage, match="not a regular file"):
        tree.read("a.png")


def test_files_larger_than_the_limit_are_refused(tmp_path):
    tree = FolderTree(write(tmp_path, {"a.png": b"x" * 100}))
    assert len(tree.read("a.png", 100)) == 100
    with pytest.raises(BadImage, match="larger"):
        tree.read("a.png", 99)


TEXTS = st.text(min_size=1, max_size=50).map(lambda text: text.encode("utf-8", "ignore"))
BYTES = st.binary(min_size=1, max_size=200) | TEXTS
FILE_NAMES = BYTES.map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_") + b".png")


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILE_NAMES)
def test_names_of_any_bytes_round_trip(name):
    name = b"n" + name
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(png(picture(0)))
        cold, warm = open_data(root), open_data(root)
    assert [os.fsencode(each) for each in cold.ids] == [os.fsencode(each) for each in warm.ids] == [name]
    assert printable(cold.ids[0]).isprintable()


def archive(path, *members):
    """A tar of (name, contents or a TarInfo type)."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, np.ndarray):
                data = png(content)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = content, "/etc/hostname"
                tar.addfile(info)
    return path


def test_hostile_members_are_passed_over_and_nothing_is_unpacked(tmp_path):
    path = archive(
        tmp_path / "set.tar",
        ("ok.png", picture(0)),
        ("./also/./ok.png", picture(1)),
        ("../climb.png", picture(2)),
        ("/abs.png", picture(3)),
        ("also/../../x.png", picture(4)),
        ("link.png", tarfile.SYMTYPE),
        ("hard.png", tarfile.LNKTYPE),
        ("device.png", tarfile.CHRTYPE),
        ("pipe.png", tarfile.FIFOTYPE),
        ("._ok.png", picture(5)),
    )
    dataset = open_data(path)
    assert sorted(dataset.ids) == ["also/ok.png", "ok.png"]
    assert dataset.report.skipped == {
        "name that leads out of the archive": 3,
        "link, device or sparse file in the archive": 4,
        "AppleDouble": 1,
    }
    assert os.listdir(tmp_path) == ["set.tar"]


def test_of_members_with_one_name_the_last_counts(tmp_path):
    path = archive(tmp_path / "set.tar", ("a.png", picture(0)), ("b.png", picture(1)), ("a.png", picture(2)))
    assert (open_data(path).images[0] == picture(2)).all()


@pytest.mark.parametrize("keep", [3, 300, 5000])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_torn_archives_are_errors_of_ours(tmp_path, keep, mode):
    with tarfile.open(tmp_path / "full.tar", mode) as tar:
        for seed in range(40):
            data = png(picture(seed))
            info = tarfile.TarInfo(f"{seed}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    torn = tmp_path / "torn.tar"
    torn.write_bytes((tmp_path / "full.tar").read_bytes()[:keep])
    with pytest.raises(DataError):
        open_data(torn)


def test_parts_of_an_archive_are_files(tmp_path):
    tree = TarTree(archive(tmp_path / "set.tar", ("a.png", picture(0)), ("b.png", picture(1))))
    data = png(picture(1))
    with tree.open("b.png") as file:
        file.seek(-4, io.SEEK_END)
        assert file.read() == data[-4:]
        file.seek(2)
        assert file.read(3) == data[2:5]
    with pytest.raises(BadImage, match="not in the archive"):
        tree.open("c.png")


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["a/b/x", "a/b/y"], "a/b/"),
        (["a/b/x", "a/c/y"], "a/"),
        (["a", "a/b"], ""),
        (["train/x", "train/y"], ""),
        (["set/train/x"], "set/"),
        ([], ""),
    ],
)
def test_shared_folder(names, shared):
    assert shared_folder(names) == shared


@pytest.mark.parametrize("count", [0, 20, 1000])
def test_folders_without_one_good_image_are_an_error_in_time(tmp_path, count):
    write(tmp_path, {f"{index}.png": b"\x89PNG\r\n\x1a\n torn" for index in range(count)})
    start = time.perf_counter()
    with pytest.raises(DataError, match=f"none of the {count} images" if count else "no images"):
        open_data(tmp_path)
    assert time.perf_counter() - start < 2


def test_bad_files_are_listed_and_too_many_stop(tmp_path):
    write(tmp_path, {f"{seed}.png": picture(seed) for seed in range(40)})
    write(tmp_path, {"bad.png": "<html>not found</html>", "empty.jpg": b"", "text.bin": "x", "lfs.png": LFS})
    with pytest.raises(DataError, match=r"3 of the 43 images of .* more than 5.0% \(bad.png: .*HTML"):
        open_data(tmp_path)
    dataset = open_data(tmp_path, DataConfig(max_bad=0.1))
    assert len(dataset) == 40
    reasons = dict(dataset.report.bad)
    assert sorted(reasons) == ["bad.png", "empty.jpg", "lfs.png"]
    assert "empty" in reasons["empty.jpg"] and "git lfs pull" in reasons["lfs.png"]


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"


def test_images_are_known_by_content_where_the_name_says_nothing(tmp_path):
    write(tmp_path, {"a": png(picture(0)), "b.dat": png(picture(1)), "c.dat": "text", "d.jpg": png(picture(2))})
    dataset = open_data(tmp_path)
    assert dataset.ids == ["a", "b.dat", "d.jpg"]
    assert dataset.report.skipped == {"not an image": 1}
