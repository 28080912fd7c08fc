"""What the loop does besides stepping: periodic work, previews, the best model, and what it hands out."""

import math

import numpy as np
import pytest
import torch
from runs import build, few, run, trainer

from limner import bundle, durable
from limner.errors import ConfigError
from limner.images.read import decode
from limner.training import checkpoint, inference, log
from limner.training.folder import RunFolder
from limner.training.loop import Every
from limner.training.settings import interval


def test_periodic_work_is_due_by_steps_or_by_the_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    assert [step for step in range(1, 10) if Every.of("x", "3").due(step)] == [3, 6, 9]
    assert not any(Every.of("x", "0").due(step) for step in range(10))
    by_clock, due = Every(*interval("x", "1m"), 0.0), []
    for now[0] in (30.0, 60.0, 61.0, 119.0, 120.0, 600.0, 601.0):
        due += [now[0]] if by_clock.due(1) else []
    assert due == [60.0, 120.0, 600.0]


def test_checkpoints_come_when_asked_for_and_only_the_newest_are_kept(digits, tmp_path):
    run("toys:Toy", digits, tmp_path, steps=11, checkpoint_every="2", keep=3)
    kept = [int(path.name) for path in checkpoint.existing(tmp_path / "checkpoints")]
    assert kept == [11, 10, 8]


def test_a_preview_shows_images_reconstructions_and_samples(digits, tmp_path):
    """8x8 pictures are shown eightfold, with 2 pixels between; only models that encode have the first two rows."""
    for name, rows in (("ae", 6), ("toys:Toy", 4)):
        run(name, digits, tmp_path / name, steps=2, preview_every="1")
        picture = decode(tmp_path / name / "previews" / "00000002.png")
        assert picture.shape[:2] == (rows * 66 + 2, 8 * 66 + 2) and len(np.unique(picture)) > 5
        assert len(list((tmp_path / name / "previews").iterdir())) == 2


def test_the_best_model_is_the_one_with_the_lowest_loss_on_unseen_images(digits, unseen_digits, tmp_path, monkeypatch):
    made = trainer("toys:Toy", digits, tmp_path, steps=8, checkpoint_every="2", validation=unseen_digits)
    losses = iter([1.0, 5.0, 3.0, 4.0, 6.0])  # of steps 0 to 8; what was there before training does not count
    monkeypatch.setattr(inference, "validation_loss", lambda *_, **__: next(losses))
    monkeypatch.setattr(inference, "best_weights", lambda *_, **__: ("raw", {}))
    made.run()
    assert bundle.load(tmp_path / "best").about["steps"] == 4 and made.best == 3.0


def test_a_best_model_that_could_not_be_written_is_tried_again(digits, unseen_digits, tmp_path, monkeypatch):
    """Its loss was once noted before it was on the disk, so the next model had to beat one that did not exist."""
    made = trainer("toys:Toy", digits, tmp_path, steps=8, checkpoint_every="4", validation=unseen_digits)
    publish, fails = durable.publish_folder, iter([True])

    def failing(target, *rest, **more):
        if target.name == "best" and next(fails, False):
            raise durable.errors.DiskError(28, "injected")
        publish(target, *rest, **more)

    monkeypatch.setattr(durable, "publish_folder", failing)
    monkeypatch.setattr(inference, "validation_loss", lambda *_, **__: 1.0)
    made.run()
    assert (tmp_path / "best").is_dir() and made.best == 1.0


def test_the_weights_that_are_handed_out_are_those_with_the_lowest_validation_loss(digits, unseen_digits, tmp_path):
    made = run("toys:Toy", digits, tmp_path, steps=60, validation=unseen_digits, ema_halflife_images=(10, 10**6))
    name, losses = inference.best_weights(made._handed_out, made._score)
    assert losses[name] == min(losses.values()) and set(losses) == {"raw", "ema_short", "ema_long"}
    assert bundle.load(tmp_path / "model").about["weights"] == made.weights == name
    loaded = bundle.load(tmp_path / "model").model
    assert inference.validation_loss(loaded, unseen_digits, seed=0) == losses[name]


def test_a_judge_picks_the_best_model_and_the_weights(digits, unseen_digits, tmp_path):
    """Scores of steps 2, 4, 6 and 8, then of the three weights: the second model and the last weights are best."""
    scores = iter([3.0, 1.0, 2.0, 5.0, 9.0, 8.0, 7.0])
    made = trainer(
        "toys:Toy",
        digits,
        tmp_path,
        steps=8,
        evaluate_every="2",
        validation=unseen_digits,
        judge=lambda model: next(scores),
    )
    made.run()
    assert bundle.load(tmp_path / "best").about["steps"] == 4 and made.best == 1.0
    lines = [line for line in log.read(tmp_path / "log.jsonl") if "evaluation/kid" in line]
    assert [(line["step"], line["evaluation/kid"]) for line in lines] == [(2, 3.0), (4, 1.0), (6, 2.0), (8, 5.0)]
    assert made.weights == "raw"


def test_players_have_no_validation_loss(digits, unseen_digits, tmp_path):
    run("gan", digits, tmp_path, steps=4, checkpoint_every="2", validation=unseen_digits)
    assert not (tmp_path / "best").exists() and (tmp_path / "model").is_dir()


def test_a_model_is_put_together_from_averages_and_running_statistics(digits, tmp_path):
    made = run("toys:Toy", digits, tmp_path, steps=20)
    for name in ("raw", "ema_short", "ema_long"):
        model = inference.assemble(made.model, made.state.averages, name, made.step)
        expected = dict(made.model.named_parameters()) if name == "raw" else made.state.averages.tensors()[name]
        assert all(torch.equal(value, expected[key]) for key, value in model.named_parameters())
        assert torch.equal(model.mean, made.model.mean) and not model.training and made.model.training


def test_a_validation_loss_weighs_every_image_alike_and_is_repeatable(digits):
    model = build("toys:Toy", digits).eval()
    whole = inference.validation_loss(model, digits, seed=0)
    assert whole == inference.validation_loss(model, digits, seed=0) != inference.validation_loss(model, digits, seed=1)
    assert inference.validation_loss(model, few(digits, 3), seed=0) != whole


def test_a_density_is_fitted_to_the_same_images_for_the_same_seed(digits):
    models = [build("ae", digits) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        inference.fit_density(model, digits, seed=seed, images=16)
    one, again, other = (torch.cat([b.double().flatten() for b in model.buffers()]) for model in models)
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_a_folder_without_a_run_or_with_half_a_config_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a run folder: config.json cannot be read"):
        RunFolder(tmp_path).read_config()
    for text, message in ((b"{", "cannot be read"), (b"[]", "lacks config, data"), (b'{"model": 1}', "lacks config")):
        (tmp_path / "config.json").write_bytes(text)
        with pytest.raises(ConfigError, match=message):
            RunFolder(tmp_path).read_config()
    (tmp_path / "config.json").write_bytes(b"3")
    with pytest.raises(ConfigError, match="cannot be read"):
        RunFolder(tmp_path).read_config()


def test_a_run_is_used_by_its_finished_model_or_else_its_newest_whole_checkpoint(digits, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(ConfigError, match="has no whole checkpoint yet; train for longer"):
        folder.usable_model()
    run("toys:Toy", digits, folder.path, steps=4, checkpoint_every="2", keep=9)
    assert folder.usable_model() == folder.model
    durable.remove_folder(folder.model)
    assert folder.usable_model().name == "00000004"
    (folder.checkpoints / "00000004" / "state.json").write_bytes(b"")
    assert folder.usable_model().name == "00000002"


def test_weights_whose_score_is_no_number_are_never_the_best():
    scores = {"raw": math.nan, "ema_short": 2.0, "ema_long": math.nan}
    assert inference.best_weights(lambda name: name, scores.__getitem__)[0] == "ema_short"
