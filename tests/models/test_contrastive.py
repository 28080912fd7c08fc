"""The contrastive network keeps the promises of a model; its loss is NT-Xent, its views are keyed."""

import math

import properties
import pytest
import torch
from runs import batch_of, build, stepper

from limner.errors import ConfigError
from limner.models.contrastive import Contrastive, ContrastiveConfig, cropped, jittered, nt_xent, view
from limner.rng import StepRng

NAME = Contrastive.name


@pytest.fixture(params=["digits", "shapes"])
def dataset(request):
    return request.getfixturevalue(request.param)


def rng(rows=8, start=0, total=None):
    return StepRng(0, 0, start=start, stop=start + rows, total=total or rows)


def images(channels=3, rows=8):
    return torch.rand(rows, channels, 10, 14, generator=torch.Generator().manual_seed(3)) * 2 - 1


def unit(*shape, seed=0):
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1)


# --- the promises of every model --------------------------------------------------------------------------------------


def test_same_seed_same_bits(dataset):
    properties.same_seed_same_bits(NAME, dataset)


def test_a_resumed_run_is_one_that_never_stopped(dataset, tmp_path):
    properties.resumes_as_never_stopped(NAME, dataset, tmp_path)


def test_its_one_phase_owns_everything_and_leaves_nothing_behind(dataset):
    properties.phases_own_everything(NAME, dataset)
    properties.phases_keep_to_their_own(NAME, dataset)
    properties.phases_leave_no_stray_gradients(NAME, dataset)


def test_what_it_suggests_is_what_the_loop_reads(digits):
    properties.suggestions_are_read(NAME, digits)


def test_a_misspelt_setting_is_refused():
    properties.refuses_unknown_settings(NAME)


def test_it_learns_to_tell_images_apart(digits):
    """Among 64 images, the loss falls well below that of features which tell nothing."""
    model, last = build(NAME, digits, width=8), 0.0
    steps = stepper(model)
    for index in range(60):
        last = float(steps.step(batch_of(digits, index, size=64), index, index * 64).values["model/loss"])
    assert last < 0.7 * math.log(127)


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_views_that_are_all_alike_cost_the_logarithm_of_the_others():
    same = torch.ones(5, 3) / math.sqrt(3)
    assert float(nt_xent(same, same, 0.5)) == pytest.approx(math.log(9), rel=1e-6)


def test_the_loss_is_that_of_its_definition():
    """Equation 1 of the paper, view by view."""
    first, second = unit(4, 6, seed=1), unit(4, 6, seed=2)
    rows = torch.cat([first, second]).tolist()

    def likeness(i, j):
        return math.exp(sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / 0.3)

    each = [-math.log(likeness(i, (i + 4) % 8) / sum(likeness(i, j) for j in range(8) if j != i)) for i in range(8)]
    assert float(nt_xent(first, second, 0.3)) == pytest.approx(sum(each) / 8, rel=1e-10)


def test_partners_alike_and_others_apart_cost_next_to_nothing():
    assert float(nt_xent(torch.eye(6), torch.eye(6), 0.05)) < 1e-6


def test_one_image_has_no_others_and_no_loss():
    assert float(nt_xent(unit(1, 4), unit(1, 4, seed=1), 0.2)) == pytest.approx(0, abs=1e-12)


# --- the views --------------------------------------------------------------------------------------------------------


def test_a_batch_in_parts_is_viewed_as_the_whole():
    config, image = ContrastiveConfig(flip=True), images()
    whole = view(image, config, rng(8))
    parts = [view(image[s : s + 4], config, rng(4, start=s, total=8)) for s in (0, 4)]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_the_two_views_of_an_image_differ_and_are_of_its_size():
    image, source = images(), rng(8)
    first, second = (view(image, ContrastiveConfig(), source) for _ in range(2))
    assert first.shape == image.shape and (first - second).abs().amax(dim=(1, 2, 3)).min() > 0.05


def test_a_crop_of_all_is_the_image_itself():
    torch.testing.assert_close(cropped(images(), 1.0, rng()), images(), atol=1e-5, rtol=0)


def test_crops_lie_inside_the_image():
    """On a ramp from -1 to 1 a crop is a ramp too: of at least half its rise, and never beyond its ends."""
    ramp = torch.linspace(-1, 1, 40).view(1, 1, 1, 40).expand(64, 1, 4, 40)
    rows = cropped(ramp, 0.5, rng(64))[:, 0, 0]
    rise = rows[:, -1] - rows[:, 0]
    assert rows.min() >= -1 and rows.max() <= 1 and (rows.diff() >= -1e-6).all()
    assert rise.min() > 0.45 * 2 and rise.min() < 1.3 and rise.max() > 1.7


def test_no_jitter_changes_nothing_and_opacity_is_never_changed():
    torch.testing.assert_close(jittered(images(), 0.0, rng()), images())
    for channels in (2, 4):
        changed = jittered(images(channels), 0.4, rng())
        assert torch.equal(changed[:, -1], images(channels)[:, -1])
        assert not torch.allclose(changed[:, :-1], images(channels)[:, :-1])


def test_jitter_keeps_what_is_grey_grey():
    grey = images(1).expand(-1, 3, -1, -1)
    changed = jittered(grey, 0.4, rng())
    torch.testing.assert_close(changed[:, :1].expand(-1, 3, -1, -1), changed)


@pytest.mark.parametrize("setting", [{"temperature": 0.0}, {"crop": 0.0}, {"crop": 1.5}, {"jitter": 1.0}, {"width": 0}])
def test_settings_that_cannot_be_are_refused_by_name(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        ContrastiveConfig(**setting)
