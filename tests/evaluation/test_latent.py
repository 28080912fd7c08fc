"""Measures of latent spaces on small models: they run on every family that can, and say why on those that cannot."""

import numpy as np
import pytest
import runs
import torch
from copying import Thumbnails, image_set, material, noise
from toys import Toy, ToyConfig

from limner.data import DataConfig, open_data
from limner.evaluation.material import NotApplicable
from limner.evaluation.measures import latent
from limner.evaluation.measures.latent import disentanglement, factors_of, path_length, robustness
from limner.types import Attribute, DataSpec


class Mirror(Toy):
    """A latent that is the picture: encodes and decodes without loss."""

    name = "mirror"

    def __init__(self, config, data):
        super().__init__(config, data)
        self.latent_shape = (int(np.prod(data.shape)),)

    def encode(self, image, condition):
        return image.flatten(1)

    def decode(self, latent, condition):
        return latent.view(-1, *self.data.shape)


@pytest.fixture(scope="module", autouse=True)
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latent, "DISTURBED", 24)
        yield


@pytest.fixture(scope="module")
def many_shapes(limner_home):
    return open_data("builtin:shapes?n=300", DataConfig(resolution=8), split=None)


def made(dataset, model, **given):
    return material(dataset, image_set("none", noise(4)), model=model, bank=runs.batch_of(dataset).condition, **given)


@pytest.mark.parametrize("name", ["ae", "vae", "gan"])
def test_every_family_has_a_path_length_and_a_response(name, digits):
    model = runs.take_steps(runs.build(name, digits), digits, 3).eval()
    if hasattr(model, "fit_density"):
        model.fit_density(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), 0)
    (length,) = path_length(made(digits, model, options={"paths": 100}))
    assert length.name == "path length (pixels)" and 0 < length.interval.low < length.value < length.interval.high
    names = [number.name for number in robustness(made(digits, model))]
    assert names[0] == "response to latent jitter"
    assert len(names) == (1 if name == "gan" else 4)


def test_path_length_does_not_depend_on_how_many_paths_are_walked_at_once(digits, monkeypatch):
    model = runs.build("gan", digits).eval()
    whole = path_length(made(digits, model, options={"paths": 100}))[0].value
    monkeypatch.setattr(latent, "AT_ONCE", 8)
    assert path_length(made(digits, model, options={"paths": 100}))[0].value == pytest.approx(whole, rel=1e-6)


def test_an_extractor_that_takes_floats_gives_the_distance(digits):
    model = runs.build("gan", digits).eval()
    (length,) = path_length(made(digits, model, extractor=Thumbnails(), options={"paths": 100}))
    assert length.name == "path length (Thumbnails)" and length.protocol.features == "Thumbnails" and length.value > 0


def test_of_a_latent_that_is_the_picture_the_response_is_that_of_the_picture(digits):
    """Jitter of s deviations moves pictures by s / sqrt(2) of the distance between two: area 0.4 / sqrt(2)."""
    jitter, noisy, blurred, _ = robustness(made(digits, Mirror(ToyConfig(), digits.spec)))
    assert jitter.value == pytest.approx(0.4 / np.sqrt(2), rel=0.05)
    responses = noisy.details["responses"]
    assert responses[0] == 0 and responses == sorted(responses) and blurred.value > 0
    assert noisy.details["unit of strength"] == "gray levels"


def test_measures_of_latents_need_a_model_that_has_them(digits):
    folder = material(digits, image_set("none", noise(4)))
    for measure in (path_length, robustness, disentanglement):
        with pytest.raises(NotApplicable, match="not a folder"):
            measure(folder)
    with pytest.raises(NotApplicable, match="'gan' cannot encode"):
        disentanglement(made(digits, runs.build("gan", digits)))


# --- disentanglement --------------------------------------------------------------------------------------------------


class Knowing(Toy):
    """An encoder that is told the factors and passes them on: the best there can be."""

    name = "knowing"

    def encode(self, image, condition):
        return condition.attributes @ self.mixing

    def decode(self, latent, condition):
        return torch.zeros(len(latent), *self.data.shape)


def test_codes_that_are_the_factors_score_near_one_and_mixed_ones_low(many_shapes):
    model = Knowing(ToyConfig(), many_shapes.spec)
    model.mixing = torch.zeros(many_shapes.spec.attribute_width, len(many_shapes.spec.attributes))
    start = 0
    for column, attribute in enumerate(many_shapes.spec.attributes):
        model.mixing[start : start + attribute.width, column] = torch.arange(1.0, attribute.width + 1)
        start += attribute.width
    pure = {number.name: number for number in disentanglement(made(many_shapes, model))}
    assert pure["MIG"].value > 0.7 and pure["DCI disentanglement"].value > 0.9
    assert min(pure["DCI completeness"].details["informativeness"].values()) > 0.9
    model.mixing = model.mixing @ torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    mixed = {number.name: number for number in disentanglement(made(many_shapes, model))}
    assert mixed["MIG"].value < 0.3 and mixed["DCI disentanglement"].value < 0.6
    assert "told the factors" in mixed["MIG"].notes[0]


def test_disentanglement_of_a_trained_model_runs(many_shapes):
    model = runs.build("vae", many_shapes, conditional="none").eval()
    numbers = disentanglement(made(many_shapes, model))
    assert [number.name for number in numbers] == ["MIG", "DCI disentanglement", "DCI completeness"]
    assert all(number.notes == () and 0 <= number.value <= 1 for number in numbers)


def test_data_without_factors_and_with_too_few_images_is_refused(digits, shapes):
    with pytest.raises(NotApplicable, match="builtin:shapes"):
        disentanglement(made(digits, Mirror(ToyConfig(), digits.spec)))
    with pytest.raises(NotApplicable, match="64 images are all known; it needs 200"):
        disentanglement(made(shapes, Mirror(ToyConfig(), shapes.spec)))


def test_factors_are_read_from_every_kind_of_attribute():
    spec = DataSpec(
        1,
        4,
        4,
        attributes=(
            Attribute("size", "continuous"),
            Attribute("colour", "categorical", ("red", "blue", "green")),
            Attribute("old", "binary", ("no", "yes")),
            Attribute("has", "multilabel", ("hat", "scarf")),
        ),
    )
    rows = np.array([[0.5, 1, 0, 0, -1, 1, -1], [-0.5, 0, 0, 1, 1, 1, 1]], np.float32)
    found = {factor.name: (factor.values.tolist(), factor.discrete) for factor in factors_of(rows, spec)}
    assert found == {
        "size": ([0.5, -0.5], False),
        "colour": ([0, 2], True),
        "old": ([-1, 1], True),
        "has=scarf": ([-1, 1], True),  # all have a hat, which is no factor of variation
    }
