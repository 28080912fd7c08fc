"""Every model of the catalogue keeps every promise of the family, and each check can fail: a broken toy shows it."""

import closed_toys
import coding_toys
import properties
import pytest
import toys
from runs import build, suited

from limner.errors import ConfigError
from limner.models import CATALOGUE, configure, entry

# diffusers knows no attributes and needs a package, stylenet needs colour pictures and a style: their own tests have
# their properties (tests/models/test_pretrained.py, test_stylenet.py)
ELSEWHERE = {"diffusers", "stylenet"}
MODELS = sorted(CATALOGUE.keys() - ELSEWHERE)
SELF_REFERRED = {"consistency"}  # its targets are its own answers, so its loss says nothing of what it has learned


@pytest.fixture(params=["digits", "shapes"])
def dataset(request):
    """Grey digits with classes; coloured shapes with classes and attributes; with sources where a model needs them."""
    images, params = request.getfixturevalue(request.param), request.node.callspec.params
    return suited(params["name"], images) if "name" in params else images


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_bits(name, dataset):
    properties.same_seed_same_bits(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_image_k_is_the_same_alone_and_in_any_batch(name, dataset):
    properties.alone_as_together(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_is_the_same_model(name, dataset, tmp_path):
    properties.survives_saving(name, dataset, tmp_path / "model")


@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_run_is_one_that_never_stopped(name, dataset, tmp_path):
    properties.resumes_as_never_stopped(name, dataset, tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_a_step_in_half_precision_has_the_losses_of_full_precision(name, dataset):
    properties.agrees_in_half_precision(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_each_phase_moves_its_own_parameters_and_nobody_elses(name, dataset):
    properties.phases_own_everything(name, dataset)
    properties.phases_keep_to_their_own(name, dataset)
    properties.phases_leave_no_stray_gradients(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_suggests_is_what_the_loop_reads(name, dataset):
    properties.suggestions_are_read(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_one_phase_learns_one_batch_by_heart(name, dataset):
    # nor are the losses of players a measure of what they learned
    if name not in SELF_REFERRED and len(build(name, dataset).phases()) == 1:
        properties.learns_one_batch(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_a_conditional_model_listens_and_another_does_not(name, dataset):
    if getattr(configure(name, {}), "conditional", "none") == "none":
        properties.keeps_to_itself(name, dataset)
    else:
        properties.hears_its_label(name, dataset)


@pytest.mark.parametrize("name", MODELS)
def test_a_misspelt_setting_is_refused(name):
    properties.refuses_unknown_settings(name)


@pytest.mark.parametrize("name", MODELS)
def test_an_entry_says_what_it_is(name):
    assert entry(name).summary and entry(name).load().__doc__


@pytest.mark.parametrize("name", ["", "vea", "os:system", "no.such.module:X", ":", "a:", ".x:Y", "limner.model:Loss"])
def test_a_name_that_is_no_model_is_refused(name):
    with pytest.raises(ConfigError):
        configure(name, {})


# --- the checks can fail --------------------------------------------------------------------------------------------

HOLDS = {
    "same_seed_same_bits": (),
    "alone_as_together": (),
    "survives_saving": ("folder",),
    "resumes_as_never_stopped": ("folder",),
    "agrees_in_half_precision": (),
    "phases_keep_to_their_own": (),
    "phases_leave_no_stray_gradients": (),
    "phases_own_everything": (),
    "suggestions_are_read": (),
    "learns_one_batch": (),
    "hears_its_label": (),
}
CLOSED_HOLDS = {prop: extra for prop, extra in HOLDS.items() if prop != "hears_its_label"} | {"keeps_to_itself": ()}
BREAKS = {
    toys.Unseeded: ("same_seed_same_bits", "two runs of one seed differ"),
    toys.Frozen: ("same_seed_same_bits", "same result"),
    toys.Neighbours: ("alone_as_together", "depends on those made with it"),
    toys.GlobalNoise: ("alone_as_together", "an image depends|differ"),
    toys.Forgetful: ("survives_saving", "samples otherwise"),
    toys.Hidden: ("resumes_as_never_stopped", "a resumed run ends elsewhere"),
    toys.Rounded: ("agrees_in_half_precision", "bf16 has other losses"),
    toys.Meddling: ("phases_keep_to_their_own", "not its own"),
    toys.Straying: ("phases_leave_no_stray_gradients", "was changed between the phases"),
    toys.Unowned: ("phases_own_everything", "no phase trains"),
    toys.Boastful: ("suggestions_are_read", "nobody reads"),
    toys.Stuck: ("learns_one_batch", "the loss went from"),
    toys.Deaf: ("hears_its_label", "changes nothing"),
    closed_toys.Idle: ("phases_keep_to_their_own", "moves nothing"),
    closed_toys.Dull: ("learns_one_batch", "the loss went from"),
    closed_toys.Poaching: ("phases_keep_to_their_own", "not its own"),
    closed_toys.Absent: ("resumes_as_never_stopped", "a resumed run ends elsewhere"),
    closed_toys.Eavesdropping: ("keeps_to_itself", "listens to the condition"),
    coding_toys.Crowded: ("alone_as_together", "depends on those made with it"),
    coding_toys.Swayed: ("alone_as_together", "depends on those made with it"),
    coding_toys.Oblivious: ("survives_saving", "samples otherwise"),
    coding_toys.Listening: ("keeps_to_itself", "listens to the condition"),
}


def hold(prop, toy, dataset, tmp_path):
    extra = [tmp_path / "folder" for _ in (HOLDS | CLOSED_HOLDS)[prop]]
    getattr(properties, prop)(f"{toy.__module__}:{toy.__name__}", dataset, *extra)


@pytest.mark.parametrize("prop", HOLDS)
def test_a_sound_toy_keeps_every_promise(prop, digits, tmp_path):
    hold(prop, toys.Toy, digits, tmp_path)


@pytest.mark.parametrize("prop", CLOSED_HOLDS)
def test_a_sound_toy_that_learns_in_closed_form_keeps_every_promise(prop, digits, tmp_path):
    hold(prop, closed_toys.Closed, digits, tmp_path)


@pytest.mark.parametrize("prop", CLOSED_HOLDS)
def test_a_sound_toy_that_makes_no_images_keeps_every_promise(prop, digits, tmp_path):
    hold(prop, coding_toys.Coder, digits, tmp_path)


@pytest.mark.parametrize("toy", BREAKS, ids=lambda toy: toy.__name__)
def test_a_broken_toy_is_found_out(toy, digits, tmp_path):
    prop, message = BREAKS[toy]
    with pytest.raises(AssertionError, match=message):
        hold(prop, toy, digits, tmp_path)
