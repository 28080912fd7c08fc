"""A loss, gradient or weight that is not finite: skip, roll back, and in the end stop, with the cause named."""

import json
import os
import random

import pytest
import torch
from runs import fork, result, run, trainer, wait

from limner.errors import TrainingStopped
from limner.training import checkpoint, log, loop
from limner.training.health import Recovery, first_not_finite
from limner.training.inference import validation_loss

PLACES = ["loss", "gradient", "weight", "average"]
SETTINGS = {"steps": 40, "checkpoint_every": "5", "keep": 2}


def faulty(made, place, at, times):
    """Make a trainer's model go wrong at step `at` and after, `times` times in all."""
    left = iter(range(times))
    losses, model = made.model.losses, made.model

    def bad(batch, step):
        wrong = step.index >= at and next(left, None) is not None
        for loss in losses(batch, step):
            if wrong and place == "gradient":
                zero = model.head.bias.sum() * 0
                loss = loss._replace(value=loss.value + (zero * zero).sqrt())  # 0, with an infinite slope
            yield loss._replace(value=loss.value / 0) if wrong and place == "loss" else loss
        with torch.no_grad():
            if wrong and place == "weight":
                model.head.weight[0, 0] = torch.nan
            if wrong and place == "average":
                made.state.averages.tensors()["ema_long"]["head.weight"][0, 0] = torch.inf

    model.losses = bad
    made.notices = []
    made.show.notice = made.notices.append
    return made


def everything_published_is_finite(path):
    folders = [path / "model", path / "best", *checkpoint.existing(path / "checkpoints")]
    for folder in (folder for folder in folders if folder.is_dir()):
        for file in folder.glob("*.safetensors"):
            from safetensors.torch import load_file

            assert first_not_finite(load_file(file).items()) is None, file


# --- what comes and goes ----------------------------------------------------------------------------------------------


def test_a_bad_batch_is_skipped_and_named(digits, tmp_path):
    made = faulty(trainer("toys:Toy", digits, tmp_path, **SETTINGS), "loss", 12, 1)
    made.run()
    assert made.step == 40 and len(made.notices) == 1
    assert made.notices[0].startswith("step 12: the loss of phase 'model' is not finite on the batch of ")
    names = made.notices[0].split("batch of ")[1].removesuffix(" …; skipped").split(", ")
    assert set(names) < set(digits.ids)


def test_skipping_leaves_the_weights_as_they_were(digits, tmp_path):
    made = faulty(trainer("toys:Toy", digits, tmp_path, **{**SETTINGS, "steps": 13}), "loss", 12, 1)
    made.run()
    run("toys:Toy", digits, tmp_path / "shorter", **{**SETTINGS, "steps": 12})
    last = checkpoint.existing(tmp_path / "checkpoints")[0]
    before = checkpoint.weights(tmp_path / "shorter" / "checkpoints" / "00000012", "raw")
    after = checkpoint.weights(last, "raw")
    assert all(torch.equal(after[name], before[name]) for name, _ in made.model.named_parameters())


def test_after_three_skips_in_a_row_it_goes_back_and_slows_down(digits, tmp_path):
    made = faulty(trainer("toys:Toy", digits, tmp_path, **SETTINGS), "loss", 12, 4)
    made.run()
    assert [text.split(":")[0] for text in made.notices] == ["step 12", "step 13", "step 14", "step 15"]
    assert made.notices[3].endswith("back to step 15 with 0.5 of the learning rate")
    assert made.step == 40 and made.state.optimizers["model"].param_groups[0]["lr"] == pytest.approx(0.5 * 1e-2)
    assert json.loads((tmp_path / "recoveries.json").read_bytes())["rollbacks"] == 1


@pytest.mark.parametrize("trials", [20, pytest.param(200, marks=pytest.mark.heavy)])
def test_what_passes_is_survived_wherever_it_strikes(trials, digits, tmp_path):
    """At a random step and place, once or more often; the end is about as good as that of a run that had no fault."""
    random_ = random.Random(0)
    untrained = validation_loss(trainer("toys:Toy", digits, tmp_path).model.eval(), digits, seed=0)
    settings = {"steps": 120, "checkpoint_every": "10", "keep": 2}
    clean = validation_loss(run("toys:Toy", digits, tmp_path / "clean", **settings).model.eval(), digits, seed=0)
    for trial in range(trials):
        place, at = random_.choice(PLACES), random_.randrange(1, 80)
        times = random_.randint(1, 5 if place in ("loss", "gradient") else 3)  # a bad weight is never skipped
        path = tmp_path / str(trial)
        made = faulty(trainer("toys:Toy", digits, path, **settings), place, at, times)
        made.run()
        assert made.step == 120 and made.notices, f"{place} at {at}, {times} times, went unnoticed"
        end = validation_loss(made.model.eval(), digits, seed=0)
        assert untrained - end > 0.5 * (untrained - clean), (place, at, times)  # up to three halvings of the rate
        everything_published_is_finite(path)


@pytest.mark.parametrize("place", ["weight", "average"])
def test_a_fault_in_the_very_last_step_is_not_published(place, digits, tmp_path):
    """Weights are looked at every 50 steps, and the last step is rarely one of them: this once ended in a traceback."""
    made = faulty(trainer("toys:Toy", digits, tmp_path / "run", **{**SETTINGS, "steps": 13}), place, 12, 1)
    made.run()
    assert made.step == 13 and "back to step 10" in made.notices[0]
    everything_published_is_finite(tmp_path / "run")


# --- what stays -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
def test_what_does_not_pass_stops_the_run_with_its_cause(place, digits, tmp_path):
    made = faulty(trainer("toys:Toy", digits, tmp_path, **SETTINGS), place, 12, 10**9)
    with pytest.raises(TrainingStopped) as caught:
        made.run()
    text = str(caught.value)
    assert "of phase 'model' is not finite" in text and "after 3 rollbacks" in text and caught.value.exit_code == 7
    assert "last checkpoint is" in text and "--set lr=" in text
    if place in ("loss", "gradient"):
        assert f"the {place} of phase" in text and " on the batch of " in text and "at step " in text
    assert [text.split(" with ")[1] for text in made.notices if "back to" in text] == [
        f"{share} of the learning rate" for share in ("0.5", "0.25", "0.125")
    ]
    everything_published_is_finite(tmp_path)
    assert not (tmp_path / "model").exists()


def test_a_model_that_is_not_finite_from_the_start_is_never_saved(digits, tmp_path):
    made = trainer("toys:Toy", digits, tmp_path, **SETTINGS)
    torch.nn.init.constant_(made.model.head.bias, torch.nan)
    with pytest.raises(TrainingStopped, match=r"weight 'head.bias' of phase 'model' is not finite at step 0.*is None"):
        made.run()
    assert checkpoint.existing(tmp_path / "checkpoints") == []


def test_rollbacks_are_counted_across_kills(digits, tmp_path):
    """A run that is killed at each rollback and started again must not go round for ever."""

    def work():
        made = faulty(trainer("toys:Toy", digits, tmp_path, **SETTINGS), "loss", 12, 10**9)
        made.show.notice = lambda text: os._exit(9) if "back to" in text else None
        made.run()

    assert [wait(fork(work)) for _ in range(5)] == [9, 9, 9, TrainingStopped.exit_code, TrainingStopped.exit_code]


def test_a_rollback_is_repeated_exactly_by_a_run_that_was_killed_after_it(digits, tmp_path):
    whole = faulty(trainer("toys:Toy", digits, tmp_path / "whole", **SETTINGS), "loss", 12, 4)
    whole.run()

    def work():
        made = faulty(trainer("toys:Toy", digits, tmp_path / "parts", **SETTINGS), "loss", 12, 4)
        made.show.notice = lambda text: os._exit(9) if "back to" in text else None
        made.run()

    assert wait(fork(work)) == 9
    run("toys:Toy", digits, tmp_path / "parts", **SETTINGS)
    assert result(tmp_path / "parts") == result(tmp_path / "whole")


# --- the rules by themselves ------------------------------------------------------------------------------------------


def test_three_skips_in_a_row_and_three_rollbacks_are_allowed():
    recovery = Recovery()
    assert [recovery.skip() for _ in range(4)] == [True, True, True, False]
    assert [(recovery.roll_back(), recovery.lr_scale) for _ in range(4)] == [
        (True, 0.5),
        (True, 0.25),
        (True, 0.125),
        (False, 0.0625),
    ]
    recovery.skip()
    recovery.healthy()
    assert [recovery.skip() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_found_wherever_it_is(bad):
    tensors = {name: torch.ones(3, 4) for name in "abc"} | {"whole numbers": torch.arange(3)}
    assert first_not_finite(tensors.items()) is None
    tensors["b"][2, 1] = bad
    assert first_not_finite(tensors.items()) == "b"


def test_large_numbers_whose_sum_overflows_are_finite():
    assert first_not_finite([("large", torch.full((10,), 3e38))]) is None
    assert first_not_finite([("both", torch.tensor([torch.inf, -torch.inf]))]) == "both"


def test_a_log_tells_no_step_twice_after_a_rollback(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_LOG_EVERY", 0.0)
    made = faulty(trainer("toys:Toy", digits, tmp_path, **{**SETTINGS, "checkpoint_every": "8"}), "loss", 12, 4)
    made.run()
    steps = [line["step"] for line in log.read(tmp_path / "log.jsonl") if "images_per_second" in line]
    assert steps == sorted(set(steps)) and made.step == 40
