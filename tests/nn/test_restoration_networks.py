"""Enlarging is MATLAB's; every network starts as plain enlarging or copying; holes are looked past."""

import numpy as np
import pytest
import torch
from torch import nn

from limner import models
from limner.errors import ConfigError
from limner.images.bicubic import resize
from limner.images.compose.poisson import poisson
from limner.losses.restoration import decibels
from limner.model import Step
from limner.nn.restoration.enlarge import Enlarge
from limner.nn.restoration.fill import Fill
from limner.nn.restoration.unets import PartialConv, PartialUNet
from limner.rng import StepRng
from limner.types import Batch, Condition, DataSpec

SPECS = {
    "srnet": DataSpec(1, 24, 24, source_channels=1, scale=3),
    "srcnn": DataSpec(3, 24, 24, source_channels=3, scale=2),
    "espcn": DataSpec(1, 24, 24, source_channels=1, scale=4),
    "edsr": DataSpec(3, 24, 24, source_channels=3, scale=2),
    "denoiser": DataSpec(3, 24, 24, source_channels=4, maps=("noise",)),
    "dncnn": DataSpec(1, 24, 24, source_channels=1),
    "nafnet": DataSpec(3, 24, 24, source_channels=1),
    "inpainter": DataSpec(1, 16, 16, source_channels=2, maps=("hole",)),
}


def restorer(name, spec=None, **config):
    torch.manual_seed(0)
    return models.build(name, models.configure(name, {"width": 8} | config), spec or SPECS[name]).eval()


def stirred(model):
    """The model with a last layer that is not zero, so that its output says something."""
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (7, 12)])
def test_enlarging_equals_the_protocols_bicubic(scale, size):
    image = np.random.default_rng(0).random((2, *size, 3))
    made = Enlarge(scale)(torch.from_numpy(image).permute(0, 3, 1, 2).float()).permute(0, 2, 3, 1)
    np.testing.assert_allclose(made, resize(image, scale), atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_an_untrained_restorer_is_plain_enlarging_or_copying(name):
    model, spec = restorer(name), SPECS[name]
    source = torch.rand(2, *spec.source_shape) * 2 - 1
    if "hole" in spec.maps:
        source[:, -1] = -1
    colours = source[:, : spec.source_channels - len(spec.maps)].expand(-1, spec.channels, -1, -1)
    torch.testing.assert_close(model.transform(source, Condition()), Enlarge(spec.scale)(colours))


@pytest.mark.parametrize("config", [{}, {"fill": False}, {"network": "partial", "depth": 2, "fill": False}])
def test_what_lies_in_a_hole_changes_nothing(config):
    model = stirred(restorer("inpainter", **config))
    source = torch.rand(1, 2, 16, 16) * 2 - 1
    source[:, 1] = -1
    source[:, 1, 4:9, 5:11] = 1
    other = source.clone()
    other[:, 0, 4:9, 5:11] = 7.0
    assert torch.equal(model.transform(source, Condition()), model.transform(other, Condition()))
    other[:, 0, 0, 0] = 7.0
    assert not torch.equal(model.transform(source, Condition()), model.transform(other, Condition()))


def test_a_filling_keeps_what_is_known_and_flattens_into_flat_surroundings():
    torch.manual_seed(0)
    image, known = torch.randn(2, 3, 30, 41), (torch.rand(2, 1, 30, 41) > 0.7).float()
    known[:, :, 8:24, 8:24] = 0
    filled = Fill()(image, known)
    seen = known.expand_as(image) > 0
    assert torch.equal(filled[seen], image[seen])
    assert filled.min() >= image[seen].min() and filled.max() <= image[seen].max()  # as heat at rest
    assert torch.allclose(Fill()(torch.full_like(image, 0.3), known), torch.tensor(0.3), atol=1e-6)
    assert torch.equal(Fill()(image, torch.zeros_like(known)), torch.zeros_like(image))


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_filling_is_nearly_heat_at_rest(share):
    rng = np.random.default_rng(0)
    smooth = resize(rng.random((1, 8, 8, 1)), 8)[0]
    hole = rng.random((64, 64)) < share
    hole[20:32, 20:32] = True
    rest = poisson(np.where(hole[..., None], 0.0, smooth), np.zeros(smooth.shape), hole.astype(np.float64))
    given, known = (torch.from_numpy(each).float()[None, None] for each in (smooth[..., 0], ~hole))
    made = Fill()(given, known)[0, 0].numpy()
    assert np.abs(made - rest[..., 0])[hole].mean() < 0.15 * np.abs(smooth[..., 0] - smooth[~hole].mean())[hole].mean()


def test_a_filling_looks_no_further_than_it_says():
    layer, known = Fill(levels=2, coarse_rounds=2), torch.ones(1, 1, 96, 96)
    known[:, :, 8:88, 8:88] = (torch.rand(80, 80, generator=torch.Generator().manual_seed(0)) > 0.98).float()
    image = torch.randn(1, 1, 96, 96, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(image, known)[0, 0, 48, 48], [image])
    rows, columns = torch.nonzero(gradient[0, 0], as_tuple=True)
    assert 4 < max((rows - 48).abs().max(), (columns - 48).abs().max()) <= layer.reach


def test_errors_in_a_hole_count_as_much_as_they_are_told():
    spec = SPECS["inpainter"]
    source = torch.full((1, 2, 16, 16), -1.0)
    source[:, 1, :4] = 1  # a quarter is the hole
    image = torch.full((1, 1, 16, 16), -1.0)
    image[:, :, :4] += 0.3  # wrong there by this much, and nowhere else
    costs = []
    for weight in (1.0, 5.0):
        model = restorer("inpainter", hole_weight=weight, loss="l1", squared_from=2.0)
        step = Step(0, 0, StepRng(0, 0, start=0, stop=1, total=1))
        (loss,) = model.losses(Batch(image, Condition(), source=source), step)
        costs.append(loss.value.item())
    assert costs == pytest.approx([0.3 / 4, 0.3 * 5 * 4 / (5 * 4 + 12)], rel=1e-4)
    with pytest.raises(ConfigError, match="hole_weight"):
        restorer("inpainter", spec, hole_weight=-1.0)


def test_decibels_are_those_of_each_picture_and_weigh_its_pixels():
    error = torch.zeros(2, 3, 4, 4)
    error[0] += 0.2  # 20 dB in a range of 2
    error[1] += 2.0  # 0 dB
    assert decibels(error, None).item() == pytest.approx(-(20 + 0) / 2 / 20, abs=1e-3)
    error[:, :, :2] = 1.0
    weights = torch.ones(2, 1, 4, 4)
    weights[:, :, :2] = 0  # known pixels, whose errors do not count
    assert decibels(error, weights).item() == pytest.approx(-(20 + 0) / 2 / 20, abs=1e-3)
    assert torch.isfinite(decibels(torch.zeros(1, 1, 4, 4), None))


def test_a_partial_convolution_without_holes_is_a_convolution_and_flat_pictures_stay_flat_past_holes():
    layer = PartialConv(1, 1, 3)
    nn.init.constant_(layer.conv.weight, 1 / 9)
    image, known = torch.ones(1, 1, 6, 6), torch.ones(1, 1, 6, 6)
    known[:, :, 2:4, 2:5] = 0
    made, found = layer(image, known)
    assert torch.allclose(made[found > 0], torch.tensor(1.0), atol=1e-6) and bool((found == 1).all())
    alone = torch.zeros(1, 1, 9, 9)
    alone[:, :, 4, 4] = 1
    _, found = layer(torch.ones(1, 1, 9, 9), alone)
    assert found.sum() == 9  # the hole shrinks by one place on each side


def test_a_hole_is_filled_up_level_by_level():
    network = PartialUNet(2, 1, width=4, depth=2)
    source = torch.full((1, 2, 16, 16), 1.0)  # all hole
    assert torch.isfinite(network(source)).all()


def test_predicted_errors_are_positive_and_only_given_when_trained_for():
    spec = SPECS["srnet"]
    with pytest.raises(ConfigError, match="uncertainty=true"):
        restorer("srnet").error_scale(torch.zeros(1, *spec.source_shape))
    sure = stirred(restorer("srnet", uncertainty=True))
    errors = sure.error_scale(torch.rand(1, *spec.source_shape))
    assert errors.shape == (1, 1, 24, 24) and errors.min() >= 1e-3


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("srnet", DataSpec(1, 8, 8), "learns from pairs"),
        ("dncnn", DataSpec(1, 8, 8, source_channels=1, scale=2), "keeps the size"),
        ("denoiser", DataSpec(1, 9, 8, source_channels=1), "multiples of 8"),
        ("srnet", DataSpec(1, 8, 8, source_channels=3), "as many, or gray"),
        ("inpainter", DataSpec(1, 16, 16, source_channels=1), "fills holes"),
        ("inpainter", DataSpec(1, 12, 16, source_channels=2, maps=("hole",)), "multiples of 8"),
    ],
)
def test_data_that_does_not_fit_is_refused(name, spec, message):
    with pytest.raises(ConfigError, match=message):
        restorer(name, spec)


@pytest.mark.parametrize(
    "extra",
    [{"perceptual": 0.1}, {"adversarial": 0.01, "adversarial_from": 0.0}, {"loss": "charbonnier"}, {"loss": "psnr"}],
)
def test_other_losses_pull_toward_the_picture(extra):

    spec = DataSpec(1, 48, 48, source_channels=1)
    model = restorer("dncnn", spec, depth=3, **extra).train()
    image = torch.rand(2, 1, 48, 48) * 2 - 1
    batch = Batch(image, Condition(), source=image + 0.2)
    found = list(model.losses(batch, Step(0, 0, StepRng(0, 0, start=0, stop=2, total=2))))
    assert [loss.phase for loss in found] == list(model.phases())
    (gradient,) = torch.autograd.grad(found[0].value, [model.network.last.bias])
    assert gradient.sum() > 0  # the source is too bright, so the correction should go down
