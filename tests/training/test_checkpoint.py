"""Checkpoints: any damage is found, the newest whole one is used, and pruning never leaves less than it should."""

import json
import os
import random
import shutil

import pytest
import torch
from runs import back_to, result, run, trainer

from limner import durable
from limner.errors import BadCheckpoint, ConfigError
from limner.training import checkpoint

TOY = "toys:Toy"


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    """A run of six steps with a checkpoint of each."""
    path = tmp_path_factory.mktemp("finished")
    run(TOY, digits, path, steps=6, checkpoint_every="1", keep=99)
    return path


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of its checkpoints, to damage."""
    shutil.copytree(finished / "checkpoints", tmp_path / "run" / "checkpoints")
    return tmp_path / "run" / "checkpoints"


def damaged(folder):
    with pytest.raises(BadCheckpoint) as caught:
        checkpoint.verify(folder)
    assert str(folder) in str(caught.value)


def damage(folder, number, change):
    """Change the bytes of `number` random files of a checkpoint in turn, each of which must be found."""
    files = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    everything = [(path, place) for path, data in files.items() for place in range(len(data))]
    random_ = random.Random(number)
    for turn in range(number):
        # by file every other time, else the largest would take nearly all
        path = random_.choice(list(files)) if turn % 2 else random_.choice(everything)[0]
        path.write_bytes(change(random_, files[path]))
        damaged(folder)
        path.write_bytes(files[path])
    checkpoint.verify(folder)


def flip(random_, data):
    place = random_.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random_.randrange(8)]) + data[place + 1 :]


def truncate(random_, data):
    return data[: random_.randrange(len(data))]


@pytest.mark.parametrize("number", [200, pytest.param(2_000, marks=pytest.mark.heavy)])
def test_every_flipped_bit_is_found(folder, number):
    damage(folder / "00000003", number, flip)


@pytest.mark.parametrize("number", [50, pytest.param(500, marks=pytest.mark.heavy)])
def test_every_truncation_is_found(folder, number):
    damage(folder / "00000003", number, truncate)


def test_every_file_of_another_step_is_found(folder):
    """100 swaps: each is internally sound, and of the same run."""
    steps = sorted(folder.iterdir())
    files = {step: {path.name: path.read_bytes() for path in step.iterdir()} for step in steps}
    random_, swaps = random.Random(0), 0
    while swaps < 100:
        one, other = random_.sample(steps, 2)
        name = random_.choice(list(files[one]))
        if files[one][name] == files[other][name]:  # the conditions of the run, which are the same at every step
            continue
        (one / name).write_bytes(files[other][name])
        damaged(one)
        (one / name).write_bytes(files[one][name])
        swaps += 1


def test_a_checkpoint_under_the_name_of_another_step_is_found(folder):
    shutil.rmtree(folder / "00000005")
    shutil.copytree(folder / "00000002", folder / "00000005")
    with pytest.raises(BadCheckpoint, match="holds a checkpoint of step 2"):
        checkpoint.verify(folder / "00000005")
    newest, problems = checkpoint.newest_valid(folder)
    assert newest == folder / "00000006" and problems == []


def edited(change):
    def edit(folder):
        path = folder / durable.MANIFEST
        manifest = json.loads(path.read_bytes())
        change(manifest)
        path.write_bytes(json.dumps(manifest, sort_keys=True, indent=1).encode())

    return edit


EDITS = {
    "another sum": edited(lambda manifest: manifest["files"]["state.json"].update(sha256="0" * 64)),
    "another size": edited(lambda manifest: manifest["files"]["state.json"].update(bytes=1)),
    "another step": edited(lambda manifest: manifest.update(step=4)),
    "a newer format": edited(lambda manifest: manifest.update(format=99)),
    "one file less": edited(lambda manifest: manifest["files"].pop("state.json")),
    "one key more": edited(lambda manifest: manifest.update(note="harmless?")),
    "no checksum": edited(lambda manifest: manifest.pop("checksum")),
    "other spacing": lambda folder: (folder / "manifest.json").write_bytes(
        (folder / "manifest.json").read_bytes().replace(b"\n ", b"\n  ")
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_of_the_manifest_is_found(folder, edit):
    edit(folder / "00000003")
    damaged(folder / "00000003")


def test_the_newest_whole_checkpoint_is_found_by_its_number_and_problems_are_told(folder):
    for name in ("00000006", "00000005"):
        (folder / name / "state.json").write_bytes(b"{}")
    (folder / "00000007").mkdir()
    (folder / "notes").mkdir()
    newest, problems = checkpoint.newest_valid(folder)
    assert newest == folder / "00000004" and [name in text for name, text in zip("765", problems, strict=True)]
    assert checkpoint.newest_valid(folder / "nowhere") == (None, [])


def test_dates_play_no_part_in_which_is_the_newest(folder):
    """Clocks jump, and copying changes dates."""
    for age, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (10**9 - age, 10**9 - age))
    assert checkpoint.newest_valid(folder)[0].name == "00000006"


def test_a_newer_format_asks_for_a_newer_limner(digits, folder, tmp_path):
    model = trainer(TOY, digits, tmp_path / "other", steps=6)
    path = folder / "00000003" / durable.MANIFEST
    manifest = {**durable.read_manifest(path.parent), "format": 2}
    manifest.pop("checksum")
    path.write_bytes(durable._signed(manifest))
    with pytest.raises(BadCheckpoint, match="format 2; this Limner reads up to 1: upgrade"):
        checkpoint.load(path.parent, model.state)


@pytest.mark.parametrize("name", ["toys:Duet", "ae"])
def test_the_checkpoint_of_another_model_is_refused(digits, folder, tmp_path, name):
    other = trainer(name, digits, tmp_path / "other", steps=6)
    with pytest.raises(BadCheckpoint, match="does not fit this run|belongs to no parameter"):
        checkpoint.load(folder / "00000003", other.state)


def test_training_goes_on_from_an_older_checkpoint_when_newer_ones_are_damaged(digits, finished, folder):
    """And says so. What is damaged is cleared away at the next checkpoint: it once crowded out the whole ones."""
    for name in ("00000005", "00000006"):
        (folder / name / "train.safetensors").write_bytes(b"damaged")
    notices = []
    made = trainer(TOY, digits, folder.parent, steps=6, keep=2, checkpoint_every="1")
    made.show.notice = notices.append
    made.run()
    assert sum("using an older checkpoint" in text for text in notices) == 2
    assert result(folder.parent) == result(finished)
    for left in checkpoint.existing(folder):
        checkpoint.verify(left)
    assert [left.name for left in checkpoint.existing(folder)] == ["00000006", "00000005"]


def test_pruning_counts_whole_checkpoints_only(digits, finished, tmp_path):
    """Two damaged checkpoints from beyond must not be the two that are kept."""
    back_to(finished, 2, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    for step in (50, 60):
        (folder / f"{step:08d}").mkdir()
    run(TOY, digits, tmp_path / "run", steps=3, keep=2)
    assert [path.name for path in checkpoint.existing(folder)] == ["00000003", "00000002"]


def test_a_run_without_a_whole_checkpoint_does_not_silently_begin_again(digits, folder):
    for path in folder.iterdir():
        (path / "state.json").write_bytes(b"{}")
    with pytest.raises(BadCheckpoint, match="no checkpoint of .* is whole: .*; start a new run"):
        run(TOY, digits, folder.parent, steps=6)
    assert len(list(folder.iterdir())) == 7


def test_the_weights_of_a_checkpoint_are_there_by_name(finished):
    last = finished / "checkpoints" / "00000006"
    raw, short, long = (checkpoint.weights(last, name) for name in ("raw", "ema_short", "ema_long"))
    assert raw.keys() == short.keys() == long.keys() and "mean" in raw  # buffers too
    assert torch.equal(raw["mean"], long["mean"]) and not torch.equal(raw["head.weight"], long["head.weight"])
    with pytest.raises(ConfigError, match="did you mean ema_short"):
        checkpoint.weights(last, "ema_shrt")
