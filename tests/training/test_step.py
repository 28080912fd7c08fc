"""One step: the gradient is that of the whole batch, clipped where asked, and nothing not finite gets through."""

import pytest
import torch
from runs import batch_of, build, stepper
from torch import nn

from limner.model import Loss
from limner.rng import mixed
from limner.training.step import NonFinite, _norm, _telling


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def stepped(name, dataset, *, steps=3, **options):
    model = build(name, dataset)
    taking = stepper(model, **options)
    logs = [taking.step(batch_of(dataset, index), index, index * 8) for index in range(steps)]
    return model, logs


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize("name", ["ae", "dae", "vae", "r3gan", "toys:Duet"])  # none of which has batch statistics
def test_a_batch_taken_in_parts_is_the_batch_taken_at_once(name, parts, digits):
    """Within rounding: sums are added up in another order."""
    whole, logs = stepped(name, digits)
    split, split_logs = stepped(name, digits, accumulate=parts)
    for one, other in zip(weights(whole), weights(split), strict=True):
        assert torch.allclose(one, other, atol=2e-5), (one - other).abs().max()
    for log, split_log in zip(logs, split_logs, strict=True):
        assert log.values.keys() == split_log.values.keys()
        for key in (key for key in log.values if key.endswith("/loss")):
            assert torch.allclose(log.values[key], split_log.values[key], rtol=1e-4), key


def test_only_one_part_of_a_batch_is_held_at_a_time(digits):
    """Taking a batch in parts once made all graphs first, which saved no memory at all."""
    model, events = build("toys:Toy", digits), []
    losses = model.losses

    def watched(batch, step):
        for loss in losses(batch, step):
            events.append("forward")
            loss.value.register_hook(lambda gradient: events.append("backward"))
            yield loss

    model.losses = watched
    stepper(model, accumulate=4).step(batch_of(digits), 0, 0)
    assert events == ["forward", "backward"] * 4


class Linear(nn.Module):
    """Loss 3 a + 4 b: a gradient of norm 5."""

    def __init__(self):
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(2))

    def phases(self):
        return {"model": [self.parameter]}

    def training_defaults(self):
        return {"phases": {"model": {"optimizer": "sgd", "lr": 1.0}}}

    def losses(self, batch, step):
        yield Loss("model", (self.parameter * torch.tensor([3.0, 4.0])).sum())


@pytest.mark.parametrize(("clip", "length"), [(None, 5.0), (10.0, 5.0), (2.0, 2.0), (0.001, 0.001)])
def test_clipping_shortens_a_gradient_and_keeps_its_direction(clip, length, digits):
    model = Linear()
    log = stepper(model, clip=clip).step(batch_of(digits), 0, 0)
    moved = -model.parameter.detach()
    assert moved.norm().item() == pytest.approx(length, rel=1e-4)
    assert torch.allclose(moved / moved.norm(), torch.tensor([0.6, 0.8]), atol=1e-4)
    assert log.values["model/gradient_norm"].item() == pytest.approx(5.0)  # as it was before


def test_the_learning_rate_is_scaled_from_where_it_started_not_from_where_it_is(digits):
    taking = stepper(Linear())
    for factor in (0.5, 0.5, 0.1):
        taking.set_lr(factor)
        assert taking.optimizers["model"].param_groups[0]["lr"] == pytest.approx(factor)


def test_dropout_is_a_function_of_seed_and_step(digits):
    """torch's own random source is set anew at each step, so what ran before leaves no trace."""
    losses = []
    for seed, disturb in ((0, 1), (0, 2), (1, 1)):
        taking = stepper(build("toys:Toy", digits), seed=seed)
        torch.manual_seed(disturb)
        losses.append([taking.step(batch_of(digits, n), n, n * 8).values["model/loss"].item() for n in range(3)])
    assert losses[0] == losses[1] != losses[2]


# --- what is not finite -----------------------------------------------------------------------------------------------


class BadLoss(Linear):
    def losses(self, batch, step):
        yield Loss("model", (self.parameter * torch.tensor([3.0, torch.inf])).sum())


class BadGradient(Linear):
    """sqrt has an infinite slope at 0, and the loss there is finite."""

    def losses(self, batch, step):
        yield Loss("model", self.parameter.sqrt().sum())


@pytest.mark.parametrize(("kind", "what"), [(BadLoss, "the loss"), (BadGradient, "the gradient")])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_what_is_not_finite_is_named_and_moves_nothing(kind, what, clip, digits):
    model = kind()
    with pytest.raises(NonFinite, match=f"^{what} of phase 'model' is not finite$"):
        stepper(model, clip=clip).step(batch_of(digits), 0, 0)
    assert torch.equal(model.parameter.detach(), torch.zeros(2)) and model.parameter.grad is None


class Layered(nn.Module):
    """Two layers and a table, of which one element gets a gradient that is not finite."""

    def __init__(self, bad):
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Conv1d(1, 2, 3)
        self.table, self.tied = nn.Embedding(4, 5), nn.Embedding(2, 3)
        self.third = nn.Linear(3, 2, bias=False)
        self.bad = bad

    def phases(self):
        return {"model": list(self.parameters())}

    def training_defaults(self):
        return {"phases": {"model": {"optimizer": "sgd", "lr": 1.0}}}

    def losses(self, batch, step):
        hidden = self.first(torch.ones(2, 3)) + self.table(torch.tensor([1, 3]))
        if self.bad == "errors":
            zero = hidden[0, 2] - hidden[0, 2].detach()
            hidden = hidden + (zero * zero).sqrt()  # 0, with an infinite slope: NaN in all that led to it
        made = self.second(hidden[:, None]).sum() + self.third(self.tied(torch.tensor([0]))).sum()
        weights = {"table": self.table.weight, "bare": self.third.weight, "tied": self.tied.weight}
        if self.bad in weights:
            made = made + (weights[self.bad] - weights[self.bad].detach()).square().sum().sqrt()
        yield Loss("model", made)


@pytest.mark.parametrize("bad", ["errors", "table", "bare", "tied"])
@pytest.mark.parametrize("step", [0, 1, 7])
def test_between_looks_at_every_gradient_the_telling_ones_are_enough(bad, step, digits):
    """A layer's bias tells of its weight; what has no bias beside it is looked at every time."""
    model = Layered(bad)
    before = weights(model)
    with pytest.raises(NonFinite, match="^the gradient of phase 'model' is not finite$"):
        stepper(model).step(batch_of(digits), step, 0, logged=False)
    assert all(torch.equal(one, other) for one, other in zip(weights(model), before, strict=True))


def test_a_gradient_that_only_a_weight_shows_is_found_at_the_sixteenth_step(digits):
    class Quiet(Layered):
        def losses(self, batch, step):
            weight = self.first.weight
            for loss in super().losses(batch, step):
                yield loss._replace(value=loss.value + (weight - weight.detach()).square().sum().sqrt())

    log = stepper(Quiet("nothing")).step(batch_of(digits), 15, 0)
    assert log is not None and not torch.isfinite(log.values["model/gradient_norm"])  # as the log says
    with pytest.raises(NonFinite):
        stepper(Quiet("nothing")).step(batch_of(digits), 16, 0)
    with pytest.raises(NonFinite):
        stepper(Quiet("nothing"), clip=1.0).step(batch_of(digits), 15, 0)


def test_a_weight_shared_with_a_table_is_looked_at_every_time(digits):
    model = Layered("nothing")
    model.first.weight = model.table.weight = nn.Parameter(torch.randn(5, 3))
    told = {id(each) for each in _telling(model, list(model.parameters()))}
    assert id(model.table.weight) in told and id(model.second.weight) not in told
    assert id(model.third.weight) in told and id(model.first.bias) in told


def test_the_batch_is_named_where_it_is_known():
    fault = NonFinite("model", "the loss")
    fault.batch = ["0003", "0007"]
    assert str(fault) == "the loss of phase 'model' is not finite on the batch of 0003, 0007 …"


def test_a_bad_second_phase_leaves_the_first_stepped(digits):
    model = build("toys:Duet", digits)
    losses = model.losses

    def bad_head(batch, step):
        for loss in losses(batch, step):
            yield loss._replace(value=loss.value * torch.nan) if loss.phase == "head" else loss

    model.losses = bad_head
    head, body = model.head.weight.detach().clone(), model.body.weight.detach().clone()
    with pytest.raises(NonFinite, match="'head'"):
        stepper(model).step(batch_of(digits), 0, 0)
    assert torch.equal(model.head.weight, head) and not torch.equal(model.body.weight, body)


def test_the_gradient_norm_is_that_of_all_gradients_as_one_vector():
    """Dense gradients take a faster way than those with gaps; both must give the same norm."""
    rng = torch.Generator().manual_seed(0)
    dense = [torch.randn(shape, generator=rng) for shape in ((7, 3), (5,), ())]
    conv = torch.randn(4, 3, 2, 2, generator=rng).contiguous(memory_format=torch.channels_last)
    gaps = torch.randn(6, 8, generator=rng)[:, ::2]
    for gradients in ([*dense, conv], [*dense, gaps], [conv.double()]):
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        assert torch.isclose(_norm(gradients), whole.norm())
    assert not torch.isfinite(_norm([torch.tensor([1.0, float("nan")]), *dense]))


def test_torchs_own_seeds_differ_from_step_to_step_and_from_run_to_run():
    seeds = {mixed(seed, step) for seed in range(50) for step in range(50)}
    assert len(seeds) == 2_500 and all(0 <= seed < 2**62 for seed in seeds)
