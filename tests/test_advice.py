"""Which model is advised: each rule by itself, with costs that are given; and one real trial."""

import json

import pytest

from limner import trial
from limner.advice import Candidate, Facts, choice, ranked, shortlist, suited
from limner.errors import ConfigError
from limner.trial import Cost, StageCost

PLAIN = Facts(images=50_000, channels=3, height=32, width=32)


def names(**changes):
    return [each.model for each in suited(Facts(**{**PLAIN.__dict__, **changes}))]


def cost(step=0.01, stages=1, batch=64):
    return Cost(tuple(StageCost(batch, step, 1.0, 0.5, 1.0) for _ in range(stages)), memory=1 << 30, disk=1 << 20)


def candidate(name, needs=(10_000,)):
    return Candidate(name, f"{name} pictures", needs)


def of(name, budget=100.0, facts=PLAIN, needs=(10_000,), **given):
    return choice(candidate(name, needs), cost(**given), facts, budget, ["photos", "--budget", f"{budget:.0f}s"])


# --- what suits the images ------------------------------------------------------------------------------------------


def test_captions_ask_for_text_to_image():
    assert names(captions=True)[0] == "text-flow" and "text-flow" not in names()


def test_black_and_white_asks_for_a_likelihood_of_it():
    assert names(black_and_white=True)[0] == "binary-vae" and "binary-vae" not in names()


def test_few_images_ask_for_a_gan_and_an_accelerator_for_a_large_network():
    assert names(images=300)[0] == "gan" and names(accelerator=True)[0] == "edm"


def test_many_images_ask_for_a_gan_and_tokens_and_fewer_for_a_flow_in_latents():
    assert names()[:2] == ["gan", "token-lm"] and names(images=2_000)[:2] == ["latent-flow", "gan"]


def test_low_resolution_alone_lets_a_network_without_convolutions_in():
    small = {"channels": 1, "height": 28, "width": 28}
    assert "flow-mlp" in names(**small) and "flow-mlp" not in names() and "flow-mlp" not in names(images=300, **small)


def test_a_gan_is_augmented_on_little_data_and_not_told_classes_of_few_images():
    def gan(**changes):
        return next(each.config for each in suited(Facts(**{**PLAIN.__dict__, **changes})) if each.model == "gan")

    assert gan() == {} and gan(images=2_000) == {"augment": ["translation", "cutout"]}
    assert gan(classes=10) == {} and gan(classes=500) == {"conditional": "none"}


def test_there_is_always_a_floor():
    assert names()[-1] == names(images=300)[-1] == "gmm"


# --- what the budget gives ------------------------------------------------------------------------------------------


def test_a_choice_says_what_the_budget_comes_to():
    found = of("vae")
    (stage,) = found.stages
    # a checkpoint with a preview in each full minute takes half a second of the hundred
    assert stage.steps == 9950 and stage.images == 9950 * 64
    assert found.seconds == pytest.approx(102.5) and found.epochs == pytest.approx(stage.images / 50_000)
    assert found.ready > 1 and found.command == "limner train vae photos --budget 100s"


def test_a_model_of_two_stages_is_weighed_by_the_one_that_gets_less_of_what_it_needs():
    found = of("latent-flow", stages=2, needs=(10_000, 10**6))
    first, second = found.stages
    assert (first.model, second.model) == ("latent-ae", "latent-flow")
    assert first.seconds == pytest.approx(25) and second.seconds == pytest.approx(75)
    assert found.ready == pytest.approx(second.images / 10**6)


def test_a_model_of_pixels_has_one_stage():
    assert trial.first_share("edm") == trial.first_share("vae") == 0
    assert trial.first_share("latent-flow") == 0.25 and trial.first_share("consistency") == 0.6


def test_who_gets_what_it_needs_comes_first_in_the_order_of_the_rules():
    slow, quick, quicker = of("edm", needs=(10**9,)), of("vae"), of("gan", step=0.001)
    assert [each.candidate.model for each in ranked([slow, quick, quicker])] == ["vae", "gan", "edm"]


def test_few_images_come_with_a_warning():
    few = Facts(**{**PLAIN.__dict__, "images": 300})
    assert "memorisation" in of("vae", facts=few).warning and not of("vae").warning


def test_the_list_is_short_and_says_who_is_not_on_it():
    choices = [of(name) for name in ("vae", "gan", "ae", "dae")]
    found = shortlist("photos", "100s", PLAIN, choices, {"edm": "does not fit"})
    assert [each.candidate.model for each in found.choices] == ["vae", "gan", "ae"]
    assert found.left_out["edm"] == "does not fit" and "after these" in found.left_out["dae"]
    json.dumps(found.to_dict())


def test_a_budget_too_short_for_anything_names_the_way_out():
    slow = of("vae", budget=5.0, step=1.0)
    with pytest.raises(ConfigError, match=r"too short for 100 steps.*--budget 2m.*--resolution 16"):
        shortlist("photos", "5s", PLAIN, [slow], {})
    with pytest.raises(ConfigError, match="no model can be trained on photos: vae: why"):
        shortlist("photos", "5s", PLAIN, [], {"vae": "why"})


# --- a real trial ---------------------------------------------------------------------------------------------------


def test_advice_rests_on_a_trial_of_each_model(monkeypatch, tmp_path):
    import limner

    monkeypatch.setenv("LIMNER_HOME", str(tmp_path))
    found = limner.advise("builtin:digits", budget="60s", models=["mlp-vae"], trial_seconds=0.5)
    (only,) = found.choices
    assert only.candidate.model == "mlp-vae" and only.memory > 100 << 20 and only.disk > 10_000
    assert 60 <= only.seconds < 120 and only.stages[0].steps > 100
    again = limner.advise("builtin:digits", budget="60s", models=["mlp-vae"], trial_seconds=0.5)
    assert again.choices == found.choices, "a trial of today was not remembered"
