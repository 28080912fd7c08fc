"""The Python face: train, resume, load, and what a trained model does."""

import os
import time

import numpy as np
import pytest
from PIL import Image
from runs import QUIET, fork, wait

import limner
from limner import api, durable
from limner.data import DataConfig
from limner.errors import BadCheckpoint, ConfigError, DataError, DiskError, NotAble
from limner.images.metadata import read_record
from limner.images.read import decode
from limner.made import Recipe
from limner.training import inference

TINY = {"width": 4, "latent": 4, "mixture_components": 2}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A fit of densities to 32 images instead of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "FIT_IMAGES", 32)
        patch.setattr(inference, "FIT_IMAGES_FINAL", 32)
        yield


def train(out, **given):
    settings = {"steps": 4, "config": TINY, **QUIET, **given}
    return limner.train(settings.pop("model", "ae"), settings.pop("data", "builtin:digits"), out=out, **settings)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "run"
    train(path)
    return path


@pytest.fixture(scope="module")
def model(out):
    return limner.load(out)


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_returns_the_model_that_loading_the_run_gives(tmp_path):
    made = train(tmp_path / "run")
    assert np.array_equal(made.sample(3, seed=5).images, limner.load(tmp_path / "run").sample(3, seed=5).images)
    assert made.name == "ae" and made.data.shape == (1, 8, 8) and made.about["steps"] == 4


def test_the_same_settings_give_the_same_model_and_another_seed_another(tmp_path):
    hashes = [train(tmp_path / name, seed=seed).sha256 for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_folder_that_holds_a_run_is_not_trained_over(out):
    before = (out / "config.json").read_bytes()
    with pytest.raises(ConfigError, match="already holds a run; resume it with --resume"):
        train(out, seed=9)
    assert (out / "config.json").read_bytes() == before


def test_of_two_runs_begun_at_once_in_one_folder_the_later_does_not_go_on_with_the_others(tmp_path):
    """Both look for a run before either has one; the loser of the race once took over the winner's checkpoints."""
    path = tmp_path / "run"
    began, tell = os.pipe()

    def late():
        real = api.models.build

        def building(*arguments):
            os.write(tell, b"!")
            while not (path / "model" / "manifest.json").exists():
                time.sleep(0.01)
            return real(*arguments)

        api.models.build = building
        train(path, seed=1)

    child = fork(late)
    os.read(began, 1)
    first = train(path, seed=0)
    assert wait(child) == ConfigError.exit_code
    assert limner.load(path).sha256 == first.sha256


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"model": "vea"}, ConfigError, "unknown model 'vea'; did you mean vae"),
        ({"config": {"latnet": 3}}, ConfigError, "unknown key 'model.latnet'; did you mean model.latent"),
        ({"data_config": {"flop": True}}, ConfigError, "unknown key 'data.flop'; did you mean data.flip"),
        ({"stpes": 3}, ConfigError, "unknown key 'train.stpes'; did you mean train.steps"),
        ({"budget": "5m"}, ConfigError, "give one of them"),
        ({"device": "cuda:99"}, ConfigError, "device='cuda:99' cannot be used"),
        ({"device": "toaster"}, ConfigError, "device='toaster' cannot be used"),
        ({"accumulate": 3}, ConfigError, "batch=8 does not split"),
        ({"data": "builtin:digitz"}, ConfigError, "did you mean digits"),
        ({"data": "nowhere/at/all"}, DataError, "nowhere"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(given, error, message, tmp_path):
    with pytest.raises(error, match=message):
        train(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


# --- resuming ---------------------------------------------------------------------------------------------------------


def test_a_run_made_longer_is_the_longer_run(tmp_path):
    whole = train(tmp_path / "a", steps=6, lr_schedule="constant")
    train(tmp_path / "b", steps=3, lr_schedule="constant")
    assert limner.resume(tmp_path / "b", steps=6).sha256 == whole.sha256


def test_a_run_is_not_resumed_to_a_length_that_it_is_beyond(tmp_path):
    train(tmp_path / "run", steps=6)
    before = (tmp_path / "run" / "config.json").read_bytes()
    for shorter in ({"steps": 5}, {"budget": "0.001s"}):
        with pytest.raises(ConfigError, match="stands at step 6, .* beyond the length"):
            limner.resume(tmp_path / "run", **shorter)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert limner.resume(tmp_path / "run", steps=7).about["steps"] == 7


@pytest.mark.parametrize("change", [{"lr": 1.0}, {"seed": 2}, {"batch": 4}, {"model": "vae"}, {"precision": "bf16"}])
def test_what_would_make_it_another_run_cannot_change(out, change):
    with pytest.raises(ConfigError, match=f"a resumed run keeps its {next(iter(change))}; only steps"):
        limner.resume(out, **change)


def test_a_run_whose_data_has_changed_is_not_resumed(tmp_path):
    data = tmp_path / "data.npz"
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 1), dtype=np.uint8)
    np.savez(data, images=images)
    train(tmp_path / "run", data=data)
    images[0] = 0
    np.savez(data, images=images)
    with pytest.raises(DataError, match="has changed since .* began; start a new run on the new data"):
        limner.resume(tmp_path / "run", steps=6)


def test_a_run_finds_its_data_again_from_another_folder(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=images)
    monkeypatch.chdir(tmp_path)
    train("run", data="data.npz", steps=2)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert limner.resume("../run", steps=3).about["steps"] == 3


def test_what_is_no_run_is_not_resumed(tmp_path):
    with pytest.raises(ConfigError, match="is not a run folder"):
        limner.resume(tmp_path)


# --- loading ----------------------------------------------------------------------------------------------------------


def test_a_run_a_checkpoint_and_a_model_folder_can_be_loaded(out, model, tmp_path):
    model.save(tmp_path / "copy")
    paths = [out, out / "model", out / "checkpoints" / "00000004", tmp_path / "copy"]
    pictures = [limner.load(path).sample(2).images for path in paths]
    assert all(np.array_equal(pictures[0], other) for other in (pictures[1], pictures[3]))
    assert pictures[2].shape == pictures[0].shape


@pytest.mark.parametrize("weights", ["raw", "ema_short", "ema_long"])
def test_any_of_the_weights_can_be_chosen_afterwards_and_can_sample(out, weights):
    """The density that was fitted for the run's own choice is kept: without it an autoencoder could not sample."""
    chosen = limner.load(out, weights=weights)
    assert len(chosen.sample(2)) == 2
    expected = limner.training.checkpoint.weights(out / "checkpoints" / "00000004", weights)
    assert all((parameter == expected[name]).all() for name, parameter in chosen.network.named_parameters())


def test_weights_that_are_not_there_are_refused(out):
    with pytest.raises(ConfigError, match="unknown weights 'ema_shrt'; did you mean ema_short"):
        limner.load(out, weights="ema_shrt")
    with pytest.raises(ConfigError, match="holds one set of weights only"):
        limner.load(out / "model", weights="raw")


def test_what_is_no_model_is_refused(tmp_path, out):
    with pytest.raises(ConfigError, match="is neither a run nor a model folder; train one with"):
        limner.load(tmp_path)
    durable.make_folder(tmp_path / "copy")
    for path in (out / "model").iterdir():
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes().replace(b"8", b"9", 1))
    with pytest.raises(BadCheckpoint, match="altered|damaged"):
        limner.load(tmp_path / "copy")


# --- use --------------------------------------------------------------------------------------------------------------


def test_picture_k_is_the_same_however_many_are_made(model):
    whole = model.sample(64, seed=1)
    assert np.array_equal(whole[:7], model.sample(7, seed=1).images)
    for index in (0, 20, 63):
        assert np.array_equal(whole[index], model.sample(seed=1, first=index)[0])
    streamed = [part.images for part in model.stream(64, seed=1)]
    assert np.array_equal(np.concatenate(streamed), whole.images) and max(map(len, streamed)) <= 8


def test_a_saved_picture_says_how_to_make_it_again(model, tmp_path):
    made = model.sample(3, seed=2, first=5, label="7", temperature=0.5)
    paths = made.save(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["000005.png", "000006.png", "000007.png"]
    assert np.array_equal(decode(paths[1]), made[1])
    record = read_record(paths[1])
    assert (record["index"], record["seed"], record["label"], record["model_sha256"]) == (6, 2, "7", model.sha256)
    again = model.remake(Recipe.read(paths[1]))
    assert np.array_equal(again[0], made[1])


def test_a_picture_of_another_model_is_not_made_again(model, tmp_path):
    (path,) = train(tmp_path / "other", seed=8).sample(1).save(tmp_path / "pictures")
    with pytest.raises(ConfigError, match="load the model that made it"):
        model.remake(Recipe.read(path))
    (path,) = model.reconstruct(model.sample(1).images).save(tmp_path / "rebuilt")
    with pytest.raises(ConfigError, match="only pictures of `sample` can be made again"):
        Recipe.read(path)


def test_a_picture_of_other_weights_is_not_made_again(out, tmp_path):
    raw = limner.load(out, weights="raw")
    (path,) = raw.sample(1).save(tmp_path)
    recipe = Recipe.read(path)
    with pytest.raises(ConfigError, match="weights=raw, and this model was loaded with weights=ema_long"):
        limner.load(out, weights="ema_long").remake(recipe)
    assert np.array_equal(limner.load(out, weights=recipe.weights).remake(recipe)[0], decode(path))


def test_the_weights_of_a_guide_are_part_of_what_makes_a_picture(tmp_path):
    flow = train(tmp_path / "flow", model="flow-mlp", config={"width": 8})
    guide = limner.load(tmp_path / "flow", weights="raw")
    (path,) = flow.sample(1, guide=guide, guidance=2.0, steps=2).save(tmp_path / "made")
    recipe = Recipe.read(path)
    with pytest.raises(ConfigError, match="made with the guide .{10}:raw; give the same"):
        flow.remake(recipe, guide=limner.load(tmp_path / "flow"))
    assert np.array_equal(flow.remake(recipe, guide=guide)[0], decode(path))


def test_a_rehearsal_tells_what_training_would_meet_and_writes_nothing(out, tmp_path):
    network, dataset, settled = limner.rehearse("ae", "builtin:digits", config=TINY, steps=3)
    assert network.config.width == 4 and len(dataset) > 1_000 and settled.steps == 3 and settled.batch
    for given, message in (
        ({"out": out}, "already holds a run"),
        ({"device": "cuda:77"}, "device='cuda:77' cannot be used"),
        ({"budget": "soon"}, "budget"),
        ({"data_config": {"degrade": "down:2"}}, "degrade=down:2 is for models that turn one picture into another"),
    ):
        with pytest.raises(ConfigError, match=message):
            limner.rehearse("ae", "builtin:digits", **given)
    with pytest.raises(ConfigError, match="text=auto needs captions"):
        limner.rehearse("flow-mlp", "builtin:digits", config={"text": "auto"})
    with pytest.raises((ConfigError, BadCheckpoint)):
        limner.rehearse("latent-flow", "builtin:digits", config={"first": str(tmp_path)})


def test_pictures_are_not_written_over_unless_told(model, tmp_path):
    made = model.sample(3)
    made.save(tmp_path)
    (tmp_path / "000001.png").unlink()
    before = (tmp_path / "000000.png").stat().st_mtime_ns
    with pytest.raises(ConfigError, match=r"000000\.png exists; choose another folder, or say overwrite"):
        made.save(tmp_path)
    assert not (tmp_path / "000001.png").exists() and (tmp_path / "000000.png").stat().st_mtime_ns == before
    assert len(made.save(tmp_path, overwrite=True)) == 3 and (tmp_path / "000001.png").exists()


def test_a_place_for_pictures_that_is_none_is_a_disk_error(model, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="cannot write"):
        model.sample(1).save(tmp_path / "file" / "pictures")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"n": 0}, "n=0, first=0"),
        ({"first": -1}, "first=-1"),
        ({"label": "cat"}, "unknown label 'cat'"),
        ({"attributes": {"age": 3}}, "unknown attribute 'age'"),
        ({"temprature": 1}, "did you mean option.temperature"),
        ({"density": "normal"}, "option.density='normal'"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(model, asked, message):
    with pytest.raises(ConfigError, match=message):
        model.sample(**asked)


def test_images_are_reconstructed_whether_or_not_they_may_be_written_to(model):
    images = limner.open_data("builtin:digits").images[:5]  # mapped from the cache, read-only
    made = model.reconstruct(images)
    assert made.images.shape == images.shape and made.images.dtype == np.uint8
    assert np.array_equal(made.images, model.reconstruct(np.array(images)).images)
    assert np.array_equal(made[::-1], model.reconstruct(images[::-1]).images)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 1)), np.zeros((8, 8, 1), np.uint8)]
)
def test_images_of_another_shape_are_refused(model, images):
    with pytest.raises(ConfigError, match=r"this model takes \(8, 8, 1\) uint8"):
        model.reconstruct(images)


def test_walks_go_through_samples_or_through_images(model):
    images = np.array(limner.open_data("builtin:digits").images[:3])
    assert len(model.interpolate(n=4, steps=5)) == 16
    assert len(model.interpolate(images=images, steps=2)) == 5
    assert len(model.traverse(dimensions=[1, 3], steps=5)) == 10 and len(model.traverse()) == 4 * 9
    assert np.array_equal(model.interpolate(seed=3)[0], model.sample(seed=3)[0])
    with pytest.raises(ConfigError, match="steps=1 is below 2"):
        model.traverse(steps=1)


def test_what_a_model_cannot_do_it_says(tmp_path):
    made = train(tmp_path, model="gan", config={"width": 4, "latent": 4})
    with pytest.raises(NotAble, match="'gan' cannot encode images"):
        made.reconstruct(made.sample(1).images)
    assert len(made.interpolate(steps=2)) == 3


def test_a_class_and_attributes_are_asked_for_by_name(tmp_path):
    made = train(
        tmp_path, model="gan", config={"width": 4}, data="builtin:shapes?n=40", data_config=DataConfig(resolution=8)
    )
    one, other = (made.sample(4, label=label, attributes={"colour": "red"}) for label in ("star", "heart"))
    assert made.data.classes and one.settings[0]["attributes"] == {"colour": "red"}
    assert not np.array_equal(one.images, other.images)


def test_pictures_behave_as_a_sequence_and_make_a_grid(model):
    made = model.sample(6)
    assert len(made) == 6 and len(list(made)) == 6 and made[2:4].shape == (2, 8, 8, 1)
    assert made.grid(columns=3).shape == (2 * 10 + 2, 3 * 10 + 2, 1)


# --- patches and sources ----------------------------------------------------------------------------------------------


def test_any_generator_trains_on_patches_is_judged_on_them_and_resumes(tmp_path):
    """Also one that works on codes made beforehand, which patches cannot have."""
    for name, config in (("vae", TINY), ("latent-flow", {"width": 8, "first_config": {"width": 4}})):
        reading = {"patch": 16, "channels": 1}
        made = train(tmp_path / name, model=name, data="builtin:shapes", config=config, data_config=reading)
        assert made.data.shape == (1, 16, 16) and made.sample(2).images.shape == (2, 16, 16, 1)
        assert limner.resume(tmp_path / name, steps=6).about["steps"] >= 4
    found = limner.evaluate(tmp_path / "vae", n=20, metrics=["swd"], floors=False)
    assert found.numbers and not found.skipped


def test_a_run_on_two_folders_resumes_from_anywhere(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for kind in ("good", "bad"):
        (tmp_path / kind).mkdir()
        for place in range(4):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / kind / f"{place}.png")
    monkeypatch.chdir(tmp_path)
    reading = {"sources": "bad", "resolution": 8}
    made = train("run", model="denoiser", data="good", config={"width": 4, "depth": 3}, data_config=reading, batch=2)
    assert made.data.source_shape == (3, 8, 8)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert limner.resume(tmp_path / "run", steps=6).about["steps"] == 6
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "bad" / "0.png")
    with pytest.raises(DataError, match="has changed"):
        limner.resume(tmp_path / "run", steps=8)
