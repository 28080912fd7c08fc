"""A run that was stopped and resumed at any step ends bit by bit where the run that never stopped does."""

import json

import pytest
from runs import back_to, result, run, trainer

from limner.training import inference
from limner.training.plan import Plan

STEPS = 60
EVERY = [(name, workers) for name in ("ae", "vae", "gan") for workers in (0, 2)]
FEW = [("ae", 0), ("vae", 0), ("gan", 0), ("toys:Duet", 0)]


@pytest.fixture(scope="module", autouse=True)
def quick_density():
    """The fit of a density for each of 60 checkpoints would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "FIT_IMAGES", 16)
        patch.setattr(inference, "FIT_IMAGES_FINAL", 16)
        yield


@pytest.fixture(scope="module")
def unbroken(digits, tmp_path_factory):
    """name -> the folder of a run of 60 steps that was never stopped, with a checkpoint of every step."""
    made = {}

    def unbroken(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("unbroken")
            run(name, digits, made[name], steps=STEPS, checkpoint_every="1", keep=STEPS + 1, lr_schedule="cosine")
        return made[name]

    return unbroken


def split(name, dataset, whole, step, path, workers=0):
    """The end of a run that goes on from `step` with nothing but that checkpoint."""
    back_to(whole, step, path)
    made = trainer(name, dataset, path, steps=STEPS, workers=workers, lr_schedule="cosine", checkpoint_every="0")
    assert made.step == 0
    made.run()
    assert made.step == STEPS
    return result(path)


@pytest.mark.parametrize("step", [1, 7, 13, 30, 59])
@pytest.mark.parametrize(("name", "workers"), FEW)
def test_a_resumed_run_is_the_unbroken_one(name, workers, step, digits, unbroken, tmp_path):
    assert split(name, digits, unbroken(name), step, tmp_path, workers) == result(unbroken(name))


@pytest.mark.parametrize(("name", "step"), [("gan", 29), ("vae", 44)])
def test_a_resumed_run_with_data_workers_is_the_unbroken_one_without(name, step, digits, unbroken, tmp_path):
    assert split(name, digits, unbroken(name), step, tmp_path, workers=2) == result(unbroken(name))


@pytest.mark.heavy
@pytest.mark.parametrize(("name", "workers"), EVERY)
def test_a_run_resumed_at_any_step_is_the_unbroken_one(name, workers, digits, unbroken, tmp_path):
    for step in range(STEPS):
        path = tmp_path / str(step)
        assert split(name, digits, unbroken(name), step, path, workers) == result(unbroken(name)), step


def test_comparing_ends_can_fail(digits, unbroken, tmp_path):
    """One step's difference in the seed's noise, or one image's in the data, is another end."""
    run("gan", digits, tmp_path, steps=STEPS, seed=1, checkpoint_every="0", lr_schedule="cosine")
    assert result(tmp_path) != result(unbroken("gan"))


def test_previews_checkpoints_and_logs_leave_no_trace_in_the_weights(digits, tmp_path):
    run("gan", digits, tmp_path / "a", steps=12, checkpoint_every="0")
    run("gan", digits, tmp_path / "b", steps=12, checkpoint_every="5", preview_every="4", tensorboard=True)
    assert result(tmp_path / "a")[0] == result(tmp_path / "b")[0]
    assert sorted(path.name for path in (tmp_path / "b" / "previews").iterdir()) == [
        "00000004.png",
        "00000008.png",
        "00000012.png",
    ]


def test_a_finished_run_can_be_made_longer(digits, tmp_path):
    run("toys:Toy", digits, tmp_path / "a", steps=20)
    run("toys:Toy", digits, tmp_path / "b", steps=8)
    run("toys:Toy", digits, tmp_path / "b", steps=20)  # at a constant learning rate the length leaves no trace
    assert result(tmp_path / "a") == result(tmp_path / "b")


def test_a_finished_run_that_is_resumed_stays_as_it_is(digits, tmp_path):
    run("toys:Toy", digits, tmp_path, steps=8)
    before = result(tmp_path)
    assert run("toys:Toy", digits, tmp_path, steps=8).step == 8 and result(tmp_path) == before


def test_a_timed_run_resumes_with_its_plan(digits, tmp_path):
    """The progress at each step, and so its learning rate, comes from the plan that the checkpoint recorded."""
    made = run("toys:Toy", digits, tmp_path, budget="0.3s", checkpoint_every="1", lr_schedule="cosine")
    saved = json.loads((tmp_path / "checkpoints" / f"{made.step:08d}" / "state.json").read_bytes())
    again = trainer("toys:Toy", digits, tmp_path, budget="0.3s", lr_schedule="cosine")
    again._restore()
    assert again.plan == Plan.from_state(saved["plan"]) and len(again.plan.knots) > 1
    assert (again.step, again.seconds, again.plan.progress(again.step)) == (made.step, saved["seconds"], 1.0)
