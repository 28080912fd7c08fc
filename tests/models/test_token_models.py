"""Language models of images: exact where they can be, and each fast way of drawing the same as the slow one."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from limner import models
from limner.errors import ConfigError
from limner.model import Precomputes, Samples, Step
from limner.models.masked_tokens import MaskedOptions
from limner.models.token_model import TokenOptions
from limner.nn.decoding import drawn
from limner.nn.text.own import learn_tokenizer
from limner.rng import ImageRng, StepRng
from limner.types import Batch, Condition, DataSpec

NAMES = ("token-lm", "masked-tokens", "next-scale")
DATA = DataSpec(1, 16, 16, classes=("cat", "dog", "owl"))
ROWS = 4
NOTHING = Condition()
FSQ = {"levels": (5, 4), "width": 4, "depth": 2, "blocks": 0}  # 20 tokens on a grid of 4x4
SCALES = {"codes": 20, "code_width": 4, "width": 4, "depth": 2, "blocks": 0, "sides": (1, 2, 4)}


def build(name, data=DATA, *, seed=0, **values):
    """A small model with a small tokenizer, after a prepare() of the latter."""
    torch.manual_seed(seed)
    first = {"first_config": SCALES if name == "next-scale" else FSQ, "dropout": 0.0}
    model = models.build(
        name, models.configure(name, {"width": 32, "depth": 2, "head_width": 8, **first, **values}), data
    )
    model.tokenizer.prepare(images(64))
    return model.eval()


def options_of(model, **values):
    return model.Options(**values)


def images(rows=ROWS, seed=3):
    """Blobs, whose tokens differ from place to place."""
    coarse = torch.rand(rows, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=16, mode="bilinear")


def labels(*classes):
    return Condition(label=torch.tensor(classes))


def loss(model, image, condition=NOTHING, *, code=None, index=0):
    rng = StepRng(0, index, start=0, stop=len(image), total=len(image))
    return next(model.losses(Batch(image, condition, code=code), Step(index, 0, rng)))


def rng(rows=ROWS, seed=0):
    return ImageRng(seed, range(rows))


# --- what all three are ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_images_out_of_the_tokenizers_own_tokens(name):
    model = build(name)
    assert isinstance(model, Samples) and isinstance(model, Precomputes)
    tokens = model.draw_tokens(rng(), labels(0, 1, 2, 0), options_of(model))
    assert tokens.shape == (ROWS, model.places) and 0 <= tokens.min() and tokens.max() < model.tokenizer.vocabulary
    assert torch.equal(model.sample(rng(), labels(0, 1, 2, 0), options_of(model)), model.pictures(tokens))
    assert model.pictures(model.precompute(images())).shape == (ROWS, *DATA.shape)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_starts_at_the_logarithm_of_the_vocabulary(name):
    model = build(name)
    value = loss(model, images(32), Condition(label=torch.zeros(32).long())).value
    assert value.item() == pytest.approx(math.log(20), abs=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_made_before_the_run_are_what_it_would_make_itself(name):
    model, image = build(name), images()
    assert torch.equal(loss(model, image).value, loss(model, image, code=model.precompute(image)).value)
    other = loss(model, image, code=model.precompute(images(seed=4))).value
    assert not torch.equal(loss(model, image).value, other)


@pytest.mark.parametrize("name", NAMES)
def test_training_leaves_the_tokenizer_as_it_is(name):
    model = build(name).train()
    assert not model.tokenizer.training
    before = {key: value.clone() for key, value in model.tokenizer.state_dict().items()}
    network = {key: value.clone() for key, value in model.network.named_parameters()}
    optimizer = torch.optim.Adam(model.phases()["model"], lr=1e-3)
    for index in range(2):
        loss(model, images(), labels(0, 1, 2, 0), index=index).value.backward()
        optimizer.step()
    assert all(torch.equal(value, before[key]) for key, value in model.tokenizer.state_dict().items())
    assert all(parameter.grad is None for parameter in model.first.parameters())
    assert not [key for key, value in model.network.named_parameters() if torch.equal(value, network[key])]


def test_it_adopts_a_trained_tokenizer():
    model, other = build("token-lm"), build("token-lm", seed=9)
    assert not torch.equal(model.precompute(images()), other.precompute(images()))
    model.adopt(other.tokenizer)
    assert torch.equal(model.precompute(images()), other.precompute(images()))


@pytest.mark.parametrize("name", NAMES)
def test_guidance_of_1_is_none_and_more_of_it_draws_other_tokens(name):
    model, condition = build(name), labels(0, 1, 2, 0)
    plain = model.draw_tokens(rng(), condition, options_of(model))
    assert torch.equal(plain, model.draw_tokens(rng(), condition, options_of(model, guidance=1.0)))
    assert not torch.equal(plain, model.draw_tokens(rng(), condition, options_of(model, guidance=8.0)))
    unknown = labels(-1, -1, -1, -1)  # there is nothing to exaggerate
    guided = model.draw_tokens(rng(), unknown, options_of(model, guidance=8.0))
    assert torch.equal(guided, model.draw_tokens(rng(), unknown, options_of(model)))


@pytest.mark.parametrize("name", NAMES)
def test_a_guided_image_is_the_same_alone_and_in_a_batch(name):
    model, options = build(name), {"guidance": 3.0, "top_p": 0.9}
    together = model.draw_tokens(rng(), labels(0, 1, 2, 0), options_of(model, **options))
    for row, label in enumerate((0, 1, 2, 0)):
        alone = model.draw_tokens(ImageRng(0, [row]), labels(label), options_of(model, **options))
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("name", NAMES)
def test_at_temperature_0_all_seeds_draw_the_likeliest(name):
    model = build(name)
    cold = {"temperature": 0.0} | ({"wander": 0.0} if name == "masked-tokens" else {})
    first, other = (model.draw_tokens(rng(seed=seed), NOTHING, options_of(model, **cold)) for seed in (0, 1))
    assert torch.equal(first, other)
    assert not torch.equal(*(model.draw_tokens(rng(seed=seed), NOTHING, options_of(model)) for seed in (0, 1)))


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_draws_nearly_the_same(name):
    model = build(name)
    exact, half = (model.draw_tokens(rng(), NOTHING, options_of(model, precision=each)) for each in ("fp32", "bf16"))
    assert 0.6 < (exact == half).float().mean()
    assert next(model.network.parameters()).dtype == torch.float32  # the model itself stays as it is


@pytest.mark.parametrize("name", NAMES)
def test_inpainting_keeps_what_it_is_told_to_and_redraws_the_rest(name):
    model, image = build(name), images()
    redo = torch.zeros(ROWS, 4, 4, dtype=torch.bool)
    redo[:, :, 2:] = True
    kept, seen = model._kept(redo), []
    model.pictures = lambda tokens: seen.append(tokens)
    model.inpaint(image, redo, rng(), NOTHING, options_of(model))
    model.inpaint(image, redo, rng(seed=1), NOTHING, options_of(model))
    model.complete(image, image.shape[2], rng=rng(), condition=NOTHING, options=options_of(model))
    first, second, all_kept = seen
    tokens = model.precompute(image)
    assert torch.equal(first[kept], tokens[kept]) and torch.equal(all_kept, tokens)
    assert (first != second)[~kept].any() and 0 < kept.float().mean() < 1


@pytest.mark.parametrize("name", NAMES)
def test_completing_goes_on_from_the_first_rows(name):
    model, image = build(name), images()
    given = {"rng": rng(), "condition": NOTHING, "options": options_of(model)}
    side = image.shape[2] // 4  # rows of pixels in a token
    made = model.complete(image, 2 * side, **given)
    redo = torch.arange(4)[None, :, None].expand(ROWS, 4, 4) >= 2
    assert torch.equal(made, model.inpaint(image, redo, rng(), NOTHING, options_of(model)))
    with pytest.raises(ConfigError, match=f"use {2 * side} or {3 * side}"):
        model.complete(image, 2 * side + 1, **given)
    with pytest.raises(ConfigError, match="the rows of an image"):
        model.complete(image, 5 * side, **given)


@pytest.mark.parametrize(
    ("name", "first", "message"),
    [
        ("token-lm", "none", "makes no tokens"),
        ("masked-tokens", "latent-ae", "makes no tokens"),
        ("next-scale", "fsq", "makes no scales"),
    ],
)
def test_a_first_stage_that_does_not_fit_is_refused(name, first, message):
    with pytest.raises(ConfigError, match=message):
        models.build(name, models.configure(name, {"first": first, "first_config": {}}), DATA)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"temperature": -1.0}, "temperature"),
        ({"precision": "fp8"}, "fp8"),
        ({"passes": 0}, "passes=0"),
        ({"order": "raster"}, "raster"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        MaskedOptions(**options)


@pytest.mark.parametrize(("name", "starts"), [("token-lm", range(16)), ("next-scale", [0, *[1] * 4, *[5] * 16])])
def test_no_token_knows_its_future(name, starts):
    """Nor, of a scale, the tokens beside it: whatever comes from its start on may change."""
    model, seen = build(name), []
    model.network.register_forward_hook(lambda _, __, logits: seen.append(logits))
    tokens = model.precompute(images())
    other = (tokens + 7) % 20

    def foretold(code):
        loss(model, images(), code=code)
        return seen[-1]

    for place, start in enumerate(starts):
        future, past = tokens.clone(), tokens.clone()
        future[:, start:], past[:, :start] = other[:, start:], other[:, :start]
        here = foretold(tokens)[:, place]
        assert torch.equal(foretold(future)[:, place], here)
        assert not start or not torch.equal(foretold(past)[:, place], here)


# --- one by one -----------------------------------------------------------------------------------------------------


def test_the_probabilities_of_all_images_of_tokens_add_up_to_1():
    """Three tokens on a grid of 2x2: 81 sequences."""
    tiny = {"levels": (3,), "width": 4, "depth": 3, "blocks": 0}
    model = build("token-lm", first_config=tiny)
    sequences = torch.tensor(list(itertools.product(range(3), repeat=4)))
    nats = torch.stack([loss(model, images(1), code=row[None]).value for row in sequences]) * 4
    assert (-nats).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_cached_drawing_is_drawing_with_the_whole_sequence_read_anew_for_each_token():
    model, condition = build("token-lm"), labels(0, 1, 2, 0)
    known = model.conditioning(condition, ROWS)
    numbers = rng().uniform(model.places)
    tokens = torch.zeros(ROWS, model.places, dtype=torch.int64)
    for place in range(model.places):
        before = torch.cat([torch.full((ROWS, 1), model.tokenizer.vocabulary), tokens[:, :-1]], dim=1)
        tokens[:, place] = drawn(model._foretold(before, known)[:, place], numbers[:, place])
    assert torch.equal(model.draw_tokens(rng(), condition, TokenOptions()), tokens)


# --- in passes ------------------------------------------------------------------------------------------------------


def test_a_pass_for_each_token_is_drawing_them_one_by_one_in_any_order():
    model = build("masked-tokens")
    known, mask = model.conditioning(NOTHING, ROWS), model.tokenizer.vocabulary
    numbers = rng().uniform(model.places, 2, model.places)
    tokens = torch.full((ROWS, model.places), mask)
    for index in range(model.places):
        logits = model._foretold(tokens, known)
        place = numbers[:, index, 1].masked_fill(tokens != mask, -1).argmax(1, keepdim=True)  # (B, 1)
        found = drawn(logits, numbers[:, index, 0])
        tokens = tokens.scatter(1, place, found.gather(1, place))
    options = MaskedOptions(passes=model.places, order="random")
    assert torch.equal(model.draw_tokens(rng(), NOTHING, options), tokens)


def test_the_network_runs_once_for_each_pass():
    for name, options, passes in (("masked-tokens", {"passes": 5}, 5), ("next-scale", {}, 3), ("token-lm", {}, 16)):
        model, calls = build(name), []
        model.network.head.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        model.draw_tokens(rng(), NOTHING, options_of(model, **options))
        assert len(calls) == passes


def test_hidden_places_are_a_random_choice_whose_number_follows_a_cosine():
    model = build("masked-tokens")
    hidden = model._hidden(StepRng(0, 0, start=0, stop=4096, total=4096)).float()
    assert hidden.sum(1).min() >= 1
    assert hidden.mean() == pytest.approx(2 / torch.pi + 0.5 / 16, abs=0.02)  # rounding up adds half a place
    torch.testing.assert_close(hidden.mean(0), hidden.mean().expand(16), atol=0.05, rtol=0)


def test_only_hidden_tokens_count_and_each_image_counts_alike():
    model, image = build("masked-tokens"), images()
    seen = {}
    model.network.embed.register_forward_hook(lambda _, args, __: seen.update(inputs=args[0]))
    model.network.register_forward_hook(lambda _, __, logits: seen.update(logits=logits))
    value, tokens = loss(model, image).value, model.precompute(image)
    hidden = seen["inputs"] == 20
    assert torch.equal(seen["inputs"][~hidden], tokens[~hidden]) and 0 < hidden.float().mean() < 1
    nats = -seen["logits"].log_softmax(-1).gather(2, tokens[..., None])[..., 0]  # (B, N)
    torch.testing.assert_close(
        value, torch.stack([row[mask].mean() for row, mask in zip(nats, hidden, strict=True)]).mean()
    )


# --- scale by scale -------------------------------------------------------------------------------------------------


def test_a_scale_is_foretold_from_what_the_coarser_ones_add_up_to():
    model, image = build("next-scale"), images()
    assert model.places == 1 + 4 + 16 and model.grid == (4, 4)
    inputs = []
    model.network.embed.register_forward_hook(lambda _, args, __: inputs.append(args[0]))
    loss(model, image)
    tokens = model.precompute(image)
    coarse = model.tokenizer.partial(tokens[:, :5]).flatten(2).transpose(1, 2)
    assert torch.equal(inputs[0][:, 5:], coarse) and not inputs[0][:, 0].any()


def test_coarse_tokens_are_kept_where_most_of_what_they_cover_is():
    model = build("next-scale")
    redo = torch.zeros(1, 4, 4, dtype=torch.bool)
    redo[:, 2:, 2:] = True
    kept = model._kept(redo)[0]
    assert kept[0] and kept[1:5].tolist() == [True, True, True, False]
    assert torch.equal(kept[5:].view(4, 4), ~redo[0])


def test_with_nothing_to_be_told_guidance_does_nothing():
    for name in NAMES:
        model = build(name, replace(DATA, classes=()))
        plain, guided = (model.sample(rng(), NOTHING, options_of(model, guidance=each)) for each in (1.0, 3.0))
        assert torch.equal(plain, guided)


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_captions_and_moves_away_from_a_negative_one(name):
    pytest.importorskip("tokenizers")
    captions = ["a red apple", "a grinning cat in a hat", "rain", "a blue car"]
    model = build(name, replace(DATA, tokenizer=learn_tokenizer(captions, size=300)), text="own")
    told = Condition(text=captions)

    def draw(condition, **values):
        return model.draw_tokens(rng(), condition, options_of(model, **values))

    plain = draw(told)
    assert not torch.equal(plain, draw(Condition(text=captions[::-1])))
    away = draw(told, guidance=4.0, negative="a very long description of what shall not be seen")
    assert not torch.equal(away, draw(told, guidance=4.0))
    alone = model.draw_tokens(ImageRng(0, [2]), Condition(text=["rain"]), options_of(model))
    assert torch.equal(alone[0], plain[2])  # padding to the longest caption changes nothing
    value = loss(model.train(), images(), told).value
    assert len(torch.autograd.grad(value, model.conditioning.text.words.weight)) and value.isfinite()
