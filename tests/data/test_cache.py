"""The cache changes how long opening takes, and nothing else."""

import multiprocessing
import os
import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_cases import picture, write

from limner.data import DataConfig, open_data
from limner.data import cache as cache_module
from limner.data import fill as fill_module
from limner.data.cache import home


@pytest.fixture
def folder(tmp_path):
    files = {f"{kind}/{seed}.png": picture(seed) for seed, kind in enumerate("abab" * 5)}
    return write(tmp_path / "set", files | {"a/0.txt": "first"})


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that were decoded, as a growing list."""
    seen = []
    decode = fill_module.conform

    def counted(image, plan, config):
        seen.append(len(image))
        return decode(image, plan, config)

    monkeypatch.setattr(fill_module, "conform", counted)
    return seen


def same(one, other):
    return (
        one.ids == other.ids
        and one.captions == other.captions
        and one.spec == other.spec
        and one.digest == other.digest
        and np.array_equal(one.images, other.images)
        and np.array_equal(one.labels, other.labels)
    )


def test_the_second_opening_decodes_nothing(folder, decoded):
    cold = open_data(folder)
    assert len(decoded) == 20
    warm = open_data(folder)
    assert len(decoded) == 20 and same(cold, warm)
    assert warm.report == cold.report


def test_the_second_opening_does_not_even_read_the_files(folder, monkeypatch):
    cold = open_data(folder)
    monkeypatch.setattr("limner.data.sources.tree.FolderTree.open", None)
    assert same(open_data(folder), cold)


def test_a_moved_folder_is_not_decoded_again(folder, decoded):
    cold = open_data(folder)
    moved = folder.rename(folder.with_name("moved"))
    assert same(open_data(moved), cold) and len(decoded) == 20


def test_changed_contents_are_decoded_again(folder):
    cold = open_data(folder)
    before = (folder / "a/0.png").stat()
    (folder / "a/0.png").write_bytes((folder / "a/2.png").read_bytes())
    os.utime(folder / "a/0.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = open_data(folder)
    assert changed.digest != cold.digest
    assert np.array_equal(changed.images[0], picture(2))


def test_settings_that_change_pixels_have_their_own_entry(folder):
    configs = [DataConfig(), DataConfig(resolution=4), DataConfig(channels=1), DataConfig(background="black")]
    for count, config in enumerate(configs, 1):
        open_data(folder, config)
        assert len(list((home() / "sets").iterdir())) == count
    open_data(folder, DataConfig(flip=True, workers=2))
    assert len(list((home() / "sets").iterdir())) == len(configs)


def test_a_digest_is_of_what_was_read_however_it_was_read(folder):
    found = open_data(folder)
    size = f"{found.spec.height}x{found.spec.width}"
    for config in (DataConfig(resolution=size, channels=3), DataConfig(background="black"), DataConfig(fit="pad")):
        assert open_data(folder, config).digest == found.digest  # opaque, and all of one size
    for config in (DataConfig(resolution=4), DataConfig(channels=1)):
        assert open_data(folder, config).digest != found.digest
    (folder / "a/0.txt").write_text("second")
    assert open_data(folder).digest != found.digest
    assert open_data(folder, split=None).digest == open_data(folder).digest


def test_each_split_has_a_digest_of_its_own(tmp_path):
    files = {f"{split}/{seed}.png": picture(seed) for split in ("train", "test") for seed in range(3)}
    folder = write(tmp_path / "both", files | {"test/3.png": picture(3)})
    train, test, both = (open_data(folder, split=split).digest for split in ("train", "test", None))
    assert len({train, test, both}) == 3
    alone = write(tmp_path / "alone", {f"{seed}.png": picture(seed) for seed in range(3)})
    assert open_data(alone).digest == train


def entry(home: Path) -> Path:
    (found,) = (home / "sets").iterdir()
    return found


def test_two_hundred_corruptions_give_no_wrong_result(folder, cache_home):
    expected = bytes(open_data(folder).images), open_data(folder).report  # a copy: its file is about to be damaged
    draw = random.Random(0)
    for _ in range(200):
        victim = draw.choice(sorted(p for p in cache_home.rglob("*") if p.is_file() and p.stat().st_size))
        data = bytearray(victim.read_bytes())
        if draw.random() < 0.2:
            del data[draw.randrange(len(data)) :]
        elif draw.random() < 0.1:
            victim.unlink()
            data = None
        else:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        if data is not None:
            victim.write_bytes(data)
        again = open_data(folder)
        assert (bytes(again.images), again.report) == expected
        assert again.captions == [("first",)] + [()] * 19 and again.labels.tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize("how", ["file", "below a file"])
def test_without_a_cache_the_run_goes_on_with_a_notice(folder, tmp_path, how):
    blocked = tmp_path / "blocked"
    blocked.write_text("x")
    dataset = open_data(folder, cache_dir=blocked if how == "file" else blocked / "below")
    assert "cannot be used" in dataset.report.notices[0]
    assert same(dataset, open_data(folder))


def test_without_any_disk_the_images_stay_in_memory(folder, tmp_path, monkeypatch):
    (tmp_path / "blocked").write_text("x")

    def refuse(**_):
        raise PermissionError("read-only")

    monkeypatch.setattr("limner.data.open.tempfile.mkdtemp", refuse)
    dataset = open_data(folder, cache_dir=tmp_path / "blocked")
    assert same(dataset, open_data(folder))
    assert np.array_equal(dataset.batch(np.array([3, 1])).image, dataset.images[[3, 1]])


def test_a_disk_that_fills_up_leaves_no_draft_behind(folder, cache_home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("limner.data.open.save_tables", full)
    dataset = open_data(folder)
    assert "No space left" in dataset.report.notices[0] and len(dataset) == 20
    assert list((cache_home / "sets").iterdir()) == []


def test_abandoned_drafts_are_swept(folder, cache_home):
    old = cache_home / "sets" / "dead.tmp"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    open_data(folder)
    assert not old.exists()


def _open_in_process(folder, start, results):
    start.wait(30)
    dataset = open_data(folder)
    results.put((dataset.digest, int(dataset.images.sum()), dataset.report.notices))


def test_two_processes_may_fill_at_once(folder, cache_home):
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(4), context.SimpleQueue()
    processes = [context.Process(target=_open_in_process, args=(folder, start, results)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = [results.get() for _ in processes]
    dataset = open_data(folder)
    assert found == [(dataset.digest, int(dataset.images.sum()), [])] * 4
    assert len(list((cache_home / "sets").iterdir())) == 1


def test_a_dataset_can_be_sent_to_another_process(folder):
    dataset = open_data(folder)
    assert same(pickle.loads(pickle.dumps(dataset)), dataset)


def test_images_are_read_only(folder):
    with pytest.raises(ValueError, match="read-only"):
        open_data(folder).images[0] = 0


def test_the_cache_may_vanish_while_it_is_open(folder, cache_home):
    dataset = open_data(folder)
    expected = dataset.images.copy()
    shutil.rmtree(cache_home)
    assert np.array_equal(dataset.images, expected)


def test_large_sets_are_read_row_by_row_and_equal(folder, monkeypatch):
    monkeypatch.setattr("limner.data.dataset.RESIDENT", 1000)
    dataset, indices = open_data(folder), np.array([0, 19, 7, 7])
    batch = dataset.batch(indices)
    assert np.array_equal(batch.image, dataset.images[indices])
    batch.image[:] = 0  # it can be written to, as a gathered batch can


def test_progress_counts_up_to_the_number_of_images(folder):
    seen = []
    open_data(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20) and seen == sorted(seen)


def test_home_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path))
    assert cache_module.home() == tmp_path / "cache"
    monkeypatch.delenv("LIMNER_HOME")
    assert "limner" in str(cache_module.home())
