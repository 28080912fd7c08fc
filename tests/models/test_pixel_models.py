"""Models of pixels in turn: probabilities that add up to one, no look ahead, drawing that skips no work."""

import itertools

import pytest
import torch
from torch.autograd.functional import jacobian

from limner import models
from limner.errors import ConfigError
from limner.losses.likelihood import binarize
from limner.model import Samples, Scores
from limner.models.autoregression import PixelOptions, precise_copy
from limner.rng import ImageRng
from limner.types import Condition, DataSpec

CLASSES = ("a", "b")
NOTHING = Condition()
DRAW = PixelOptions(pixels="draw")
BINARY = [
    ("made", {}),
    ("made", {"masks": 3}),
    ("made", {"masks": 3, "order": "random", "depth": 3}),
    ("binary-pixelcnn", {"block": 1}),
    ("binary-pixelcnn", {"block": 2}),
]
ALL = [*BINARY, ("pixelcnn", {"block": 1}), ("pixelcnn", {"block": 2})]


def build(name, settings=None, *, channels=1, height=4, width=4, seed=0):
    """A small model with weights far from those it starts with, so that nothing hides in a zero."""
    torch.manual_seed(seed)
    small = {"width": 24 if name == "made" else 12, "mixture_components": 2, **(settings or {})}
    known = models.configure(name, {}).__dataclass_fields__
    config = models.configure(name, {key: value for key, value in small.items() if key in known})
    model = models.build(name, config, DataSpec(channels, height, width, CLASSES)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def states(height, width):
    """All black and white images of that size."""
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=height * width))).view(-1, 1, height, width)


def labels(rows):
    return Condition(torch.arange(rows) % len(CLASSES))


def probabilities(model, image, label=None):
    condition = Condition(None if label is None else torch.full((len(image),), label))
    return model.log_likelihood(image, condition, ImageRng(0, range(len(image))), 1).double().exp()


# --- probabilities ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [None, 1])
@pytest.mark.parametrize(("name", "settings"), BINARY)
def test_the_probabilities_of_all_images_add_up_to_one(name, settings, label):
    size = (2, 4) if settings.get("block") == 2 else (2, 3)
    model = build(name, settings, height=size[0], width=size[1])
    found = probabilities(model, states(*size), label)
    assert float(found.sum()) == pytest.approx(1, abs=1e-6)
    assert found.max() > 2 / len(found)  # and are not just all the same


def test_masks_count_by_their_mean_probability():
    model, image = build("made", {"masks": 3}, height=2, width=3), states(2, 3)
    rows = torch.zeros(len(image), len(CLASSES))
    each = torch.stack([model._under(mask, image, rows).exp() for mask in range(3)])
    assert (each[0] - each[1]).abs().max() > 1e-3
    torch.testing.assert_close(probabilities(model, image), each.mean(0).double(), atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(("name", "settings"), BINARY)
def test_images_are_drawn_as_often_as_the_likelihood_says(name, settings):
    size = (2, 2) if settings.get("block") == 2 else (2, 3)
    model, count = build(name, settings, height=size[0], width=size[1]), 8_000
    drawn = model.sample(ImageRng(0, range(count)), NOTHING, DRAW)
    pixels = size[0] * size[1]
    place = (((drawn.flatten(1) + 1) / 2) @ (2.0 ** torch.arange(pixels - 1, -1, -1))).long()
    shares = place.bincount(minlength=2**pixels).double() / count
    expected = probabilities(model, states(*size))
    assert expected.max() > 0.04
    torch.testing.assert_close(shares, expected, atol=0.02, rtol=0)  # 3.6 standard errors of an even share


def test_a_grey_image_is_drawn_in_black_and_white_first():
    model, image = build("made"), torch.zeros(6, 1, 4, 4)
    found = model.log_likelihood(image, NOTHING, ImageRng(3, range(6)), 1)
    drawn = binarize(image, ImageRng(3, range(6)).uniform(1, 4, 4))
    torch.testing.assert_close(found, model.log_likelihood(drawn, NOTHING, ImageRng(4, range(6)), 1))
    with pytest.raises(ConfigError, match="samples=0"):
        model.log_likelihood(image, NOTHING, ImageRng(3, range(6)), 0)


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_the_likelihood_hears_the_class(name, settings):
    model, image = build(name, settings), binarize(torch.zeros(4, 1, 4, 4), torch.rand(4, 1, 4, 4))
    found = [
        model.log_likelihood(image, Condition(torch.full((4,), label)), ImageRng(0, range(4)), 1) for label in (0, 1)
    ]
    assert (found[0] - found[1]).abs().min() > 1e-4


# --- no look ahead ----------------------------------------------------------------------------------------------------


def made_sees(model, mask):
    """(D, D) how each output moves with each input, both in the order in which they are drawn."""
    order = model.network.ranks[mask].argsort()
    rows = torch.zeros(1, len(CLASSES))
    found = jacobian(lambda x: model.network(x[None], rows, mask)[0], torch.randn(len(order)))
    return found[order][:, order]


def pixelcnn_sees(model):
    """(T, T) whether the parameters of each group of values depend on each group, both in the order of drawing."""
    values = torch.randn(1, *model._places(torch.zeros(1, *model.data.shape)).shape[1:])
    rows = torch.zeros(1, len(CLASSES))
    mix = torch.randn(model.likelihood.parameters, 1, 1)  # one number that moves with any of the parameters
    found = jacobian(lambda x: (model.network(x, rows)[0] * mix).sum(1), values)[:, :, :, 0]  # (G, h, w, G N, h, w)
    found = found.abs().unflatten(3, (model.network.head.groups, -1)).sum(4)  # (G, h, w, G, h, w)
    steps = found.shape[0] * found.shape[1] * found.shape[2]
    return found.permute(1, 2, 0, 4, 5, 3).reshape(steps, steps)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("name", "settings"), ALL)
def test_no_pixel_sees_itself_or_its_future_and_each_sees_all_its_past(name, settings, channels):
    """Over all positions and channels. The second half is that there is no blind spot."""
    made = name == "made"
    model = build(name, {**settings, "width": 200 if made else 12}, channels=channels)
    for mask in range(settings.get("masks", 1)):
        sees = made_sees(model, mask) if made else pixelcnn_sees(model)
        past = torch.ones_like(sees).tril(-1).bool()
        assert sees.shape == (16 * channels,) * 2 or name == "pixelcnn"
        assert (sees[~past] == 0).all(), "a pixel sees its future"
        assert (sees[past] != 0).float().mean() > 0.99, "a pixel is blind to some of its past"


def test_the_order_of_pixels_is_the_one_that_is_said():
    """A pixel's own likelihood is all that changes before it: row by row, and with block=2 square by square."""
    values = build("pixelcnn", {"block": 2}, channels=2)._places(torch.arange(32.0).view(1, 2, 4, 4))
    assert values[0, :, 0, 1].tolist() == [2, 18, 3, 19, 6, 22, 7, 23]
    ranks = build("made", channels=2).network.ranks[0].view(2, 4, 4)
    assert ranks[:, 0, :2].flatten().tolist() == [0, 2, 1, 3] and int(ranks[1, 3, 3]) == 31


@pytest.mark.parametrize("block", [1, 2, 4])
def test_squares_are_put_together_again(block):
    model, image = build("pixelcnn", {"block": block}, channels=3, height=8), torch.randn(2, 3, 8, 4)
    assert torch.equal(model._image(model._places(image)), image)


# --- drawing ----------------------------------------------------------------------------------------------------------


def naive_made(model, rng, condition, options):
    """One forward pass of the whole network for every pixel."""
    mask, uniform = rng.integers(model.config.masks), rng.uniform(*model.data.shape).flatten(1)
    network = precise_copy(model.network)
    x = torch.zeros(rng.rows, uniform.shape[1], dtype=torch.float64)
    shown = x.clone()
    for row in range(rng.rows):
        for place in network.ranks[mask[row]].argsort().tolist():
            output = network(x[row : row + 1], condition[row : row + 1].double(), int(mask[row]))[0, place]
            on = torch.sigmoid(output / options.temperature)
            x[row, place], shown[row, place] = (1.0 if uniform[row, place] < on else -1.0), 2 * on - 1
    return shown.view(-1, *model.data.shape)


def naive_pixelcnn(model, rng, condition, options):
    network, likelihood = precise_copy(model.network), model.likelihood
    values = model._places(torch.zeros(rng.rows, *model.data.shape, dtype=torch.float64))
    (height, width), shown, size = values.shape[2:], values.clone(), likelihood.values
    uniform = rng.uniform(height, width, network.head.groups, likelihood.draws).double()
    for row, column, group in itertools.product(range(height), range(width), range(network.head.groups)):
        parameters = network(values, condition.double())[:, group, :, row, column]
        drawn = likelihood.draw(parameters, uniform[:, row, column, group], options.temperature)
        place = slice(group * size, (group + 1) * size)
        values[:, place, row, column] = drawn
        shown[:, place, row, column] = likelihood.shown(parameters, drawn, options.temperature)
    return model._image(shown)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "settings"), ALL)
@torch.no_grad()
def test_drawing_from_what_is_kept_is_drawing_with_a_whole_pass_for_each_pixel(name, settings, channels):
    model, options = build(name, settings, channels=channels), PixelOptions(temperature=0.8)
    naive = naive_made if name == "made" else naive_pixelcnn
    expected = naive(model, ImageRng(5, range(3)), model.conditions(labels(3), 3, "cpu"), options)
    found = model.sample(ImageRng(5, range(3)), labels(3), options)
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)
    assert found.std() > 0.1


@pytest.mark.parametrize(("name", "settings"), [case for case in ALL if case[1].get("order") != "random"])
def test_a_completed_image_keeps_its_rows_and_is_the_one_that_its_seed_draws(name, settings):
    model, rng = build(name, settings, channels=3), lambda: ImageRng(2, range(5))
    whole = model.sample(rng(), labels(5), DRAW)
    asked = {"condition": labels(5), "options": DRAW}
    for rows in (0, 2, 4):
        lost = whole.clone()
        lost[:, :, rows:] = 0.5
        assert torch.equal(model.complete(lost, rows, rng=rng(), **asked), whole)
    other = model.complete(-whole, 2, rng=rng(), **asked)
    assert torch.equal(other[:, :, :2], -whole[:, :, :2]) and not torch.equal(other[:, :, 2:], whole[:, :, 2:])


def test_completion_shows_given_rows_as_they_are():
    model, grey = build("made"), torch.full((2, 1, 4, 4), 0.3)
    found = model.complete(grey, 3, rng=ImageRng(0, range(2)), condition=NOTHING, options=PixelOptions(pixels="mean"))
    assert torch.equal(found[:, :, :3], grey[:, :, :3]) and (found[:, :, 3] != 0.3).all()


@pytest.mark.parametrize(
    ("name", "settings", "rows", "said"),
    [
        ("made", {}, 5, "rows_given=5 is not within 0 to 4"),
        ("made", {}, -1, "rows_given=-1"),
        ("made", {"order": "random"}, 2, "order=raster"),
        ("binary-pixelcnn", {}, 3, "use 2 or 4"),
    ],
)
def test_rows_that_cannot_be_given_are_refused(name, settings, rows, said):
    image, rng = torch.zeros(1, 1, 4, 4), ImageRng(0, [0])
    with pytest.raises(ConfigError, match=said):
        build(name, settings).complete(image, rows, rng=rng, condition=NOTHING, options=PixelOptions())


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_at_temperature_0_every_seed_draws_the_likeliest(name, settings):
    model = build(name, {**settings, "masks": 1})
    cold, warm = (
        model.sample(ImageRng(0, range(20)), NOTHING, PixelOptions(temperature=temperature, pixels="draw"))
        for temperature in (0.0, 1.0)
    )
    assert (cold - cold[:1]).abs().max() < 0.01  # one of 256 levels may be off
    assert (warm.std(0) > 0.2).any()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_is_drawn_in_256_levels(channels):
    model = build("pixelcnn", channels=channels)
    image = model.sample(ImageRng(0, range(4)), NOTHING, PixelOptions())
    levels = (image + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert image.shape == (4, channels, 4, 4) and image.unique().numel() > 20


# --- what it is -------------------------------------------------------------------------------------------------------


def test_they_sample_and_score_exactly():
    for name in ("made", "pixelcnn", "binary-pixelcnn"):
        model = build(name)
        assert isinstance(model, Samples) and isinstance(model, Scores) and model.likelihood_is == "exact"


def test_a_pixel_starts_from_its_mean():
    image = torch.tensor([-0.5, 0.0, 0.5, 0.9]).repeat(1, 1, 4, 1)
    for name in ("made", "binary-pixelcnn"):
        model = models.build(name, models.configure(name, {"width": 8}), DataSpec(1, 4, 4))
        bias = model.network.last.bias if name == "made" else model.network.head.bias
        model.prepare(image)
        expected = image.flatten() if name == "made" else torch.tensor([0.0, 0.45] * 2)
        torch.testing.assert_close(torch.tanh(bias.flatten() / 2), expected)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("made", {"width": 0}),
        ("made", {"masks": 0}),
        ("made", {"order": "spiral"}),
        ("pixelcnn", {"binarize": "dynamic"}),
        ("pixelcnn", {"block": 0}),
        ("pixelcnn", {"likelihood": "gaussian"}),
        ("pixelcnn", {"condition_dropout": 1.0}),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(name, settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        models.configure(name, settings)


def test_an_image_that_does_not_split_into_squares_is_refused():
    with pytest.raises(ConfigError, match="use block=1"):
        build("pixelcnn", {"block": 2}, height=5)
