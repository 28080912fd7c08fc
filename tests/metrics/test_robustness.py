"""Response curves of outputs whose answer is known; disturbances that do what they say."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from limner.errors import ConfigError, DataError
from limner.metrics.robustness import DISTURBANCES, blurred, compressed, noisy, response
from limner.rng import generator


def outputs(count=100, size=5, what="outputs"):
    return generator(0, f"test robustness {what}").standard_normal((count, size))


def pictures(channels=3):
    return generator(0, "test robustness pictures").integers(0, 256, (6, 12, 10, channels)).astype(np.uint8)


def gradients(channels=3):
    """Smooth pictures, as JPEG expects."""
    places = np.arange(12)[:, None] * 9 + np.arange(10) * 7
    return np.repeat(np.stack([places + 10 * k for k in range(6)])[..., None], channels, axis=3).astype(np.uint8)


def test_outputs_that_do_not_move_have_area_zero():
    curve = response(outputs(), [outputs()] * 3, [1, 2, 3])
    assert curve.area.value == curve.area.high == 0 and [part.value for part in curve.responses] == [0] * 4


def test_an_output_that_moves_in_proportion_has_a_straight_curve_and_half_its_end_as_area():
    direction = np.array([1, 0, 0, 0, 0.0])
    curve = response(outputs(), [outputs() + strength * direction for strength in (1, 2, 4)], [1, 2, 4])
    values = [part.value for part in curve.responses]
    assert values == pytest.approx([0, values[1], 2 * values[1], 4 * values[1]])
    assert curve.area.value == pytest.approx(values[-1] / 2) and curve.strengths.tolist() == [0, 1, 2, 4]


def test_outputs_that_become_anothers_have_response_one():
    curve = response(outputs(), [np.roll(outputs(), 50, axis=0)], [1.0])
    assert curve.responses[1].value == pytest.approx(1)


def test_the_unit_of_the_outputs_does_not_matter():
    moved = outputs() + 0.1 * outputs(what="moved")
    assert response(outputs(), [moved], [1]).area.value == pytest.approx(
        response(7 * outputs(), [7 * moved], [1]).area.value
    )


def test_the_interval_narrows_with_the_root_of_the_rows():
    widths = []
    for count in (100, 1600):
        curve = response(outputs(count), [outputs(count) + 0.3 * outputs(count, what="moved")], [1])
        assert curve.area.low < curve.area.value < curve.area.high
        widths.append(curve.area.high - curve.area.low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)


@pytest.mark.parametrize(
    ("count", "moved", "strengths", "error", "message"),
    [
        (9, [outputs(9)], [1], ConfigError, "9 outputs are too few"),
        (100, [outputs()], [1, 2], ConfigError, "1 sets of outputs do not fit 2 strengths"),
        (100, [outputs()] * 2, [2, 1], ConfigError, "do not rise"),
        (100, [outputs()], [0], ConfigError, "do not rise from above 0"),
        (100, [outputs(99)], [1], ConfigError, "disturb every input"),
        (100, [outputs() * np.nan], [1], DataError, "disturbed outputs is not finite"),
    ],
)
def test_what_gives_no_curve_is_refused(count, moved, strengths, error, message):
    with pytest.raises(error, match=message):
        response(outputs(count), moved, strengths)


def test_a_collapsed_model_is_named():
    with pytest.raises(DataError, match="all outputs are alike"):
        response(np.ones((20, 3)), [np.ones((20, 3))], [1])


# --- disturbances -----------------------------------------------------------------------------------------------------


def test_noise_has_the_deviation_it_is_asked_for_and_is_keyed():
    gray = np.full((4, 64, 64, 1), 128, np.uint8)
    disturbed = noisy(gray, 8, seed=3)
    assert disturbed.std() == pytest.approx(8, rel=0.05) and disturbed.mean() == pytest.approx(128, abs=0.5)
    assert np.array_equal(disturbed[:2], noisy(gray[:2], 8, seed=3))
    assert not np.array_equal(disturbed, noisy(gray, 8, seed=4))


def test_blur_is_scipys_gaussian():
    expected = gaussian_filter(pictures().astype(float), (0, 1.5, 1.5, 0), mode="nearest", truncate=3.34)
    assert np.abs(blurred(pictures(), 1.5) - expected).max() <= 0.51


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_the_shape_and_worsens_with_strength(channels):
    images = gradients(channels)
    errors = [np.abs(compressed(images, strength).astype(int) - images).mean() for strength in (1, 50, 90)]
    assert compressed(images, 50).shape == images.shape
    assert errors == sorted(errors) and errors[0] < errors[2] / 2


def test_transparent_pictures_have_no_jpeg():
    with pytest.raises(ConfigError, match="4 channels have no JPEG"):
        compressed(pictures(4), 50)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_every_disturbance_grows_with_its_strengths(name):
    disturb, strengths = DISTURBANCES[name]
    errors = [np.square(disturb(pictures(), s).astype(float) - pictures()).mean() for s in strengths]
    assert errors == sorted(errors)
