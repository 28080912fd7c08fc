"""Mixtures: how they learn, in steps and in rounds, and what they make of classes and attributes."""

import numpy as np
import pytest
import torch

from limner.nn.families import BernoulliFamily
from limner.nn.gaussian_families import FullFamily
from limner.nn.mixture import FullRounds, Mixture, Stepwise, spread
from limner.rng import ImageRng
from limner.types import Attribute, DataSpec

PLAIN = DataSpec(1, 1, 2)
PETS = DataSpec(1, 1, 2, classes=("cat", "dog"))
SIZE = Attribute("size", "categorical", ("small", "large"))
SIZED = DataSpec(1, 1, 2, attributes=(SIZE,))


def mixture(data=PLAIN, members=4, learning=None):
    torch.manual_seed(0)
    family = FullFamily(members, 2, least_std=0.05, smoothing=0.0)
    return Mixture(family, data, learning or FullRounds(200)).double()


def clouds(rows=200):
    """Rows in four round clouds at the corners of a square, and the cloud of each."""
    random = torch.Generator().manual_seed(0)
    cloud = torch.arange(rows) % 4
    corners = torch.tensor([[-3.0, -3], [-3, 3], [3, -3], [3, 3]])
    return (corners[cloud] + 0.5 * torch.randn(rows, 2, generator=random)).double(), cloud


def nothing(rows):
    return torch.zeros(len(rows), 0)


def likelihood(model, rows):
    return float(model.log_prob(rows, nothing(rows)).mean())


def learn(model, rows, condition=None, rounds=20):
    condition = nothing(rows) if condition is None else condition
    for _ in range(rounds):
        model.learn(rows, model.log_joint(rows, condition).softmax(1), condition)
    return model


# --- learning ---------------------------------------------------------------------------------------------------------


def test_members_find_the_clouds():
    rows, cloud = clouds()
    model = mixture()
    model.begin(rows, np.random.default_rng(0))
    learn(model, rows)
    nearest = torch.cdist(model.family.means, torch.stack([rows[cloud == k].mean(0) for k in range(4)])).min(1).values
    assert nearest.max() < 0.01 and torch.allclose(model.weights, torch.full((4,), 0.25).double(), atol=1e-3)


def test_a_round_in_parts_is_a_round_at_once():
    rows, _ = clouds()
    whole, parts = mixture(), mixture()
    for model in (whole, parts):
        model.begin(rows, np.random.default_rng(0))
    shares = whole.log_joint(rows, nothing(rows)).softmax(1)
    whole.learn(rows, shares, nothing(rows))
    for start in range(0, 200, 40):
        before = {name: value.clone() for name, value in parts.family.named_buffers()}
        part = slice(start, start + 40)
        parts.learn(rows[part], shares[part], nothing(rows[part]))
        unchanged = all(torch.equal(value, before[name]) for name, value in parts.family.named_buffers())
        assert unchanged == (start < 160)
    for (name, one), other in zip(whole.named_buffers(), parts.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_steps_of_small_batches_come_as_far_as_full_rounds():
    rows, _ = clouds(400)
    rounds, steps = mixture(learning=FullRounds(400)), mixture(learning=Stepwise(0.7))
    for model in (rounds, steps):
        model.begin(rows, np.random.default_rng(0))
    learn(rounds, rows, rounds=30)
    random = np.random.default_rng(1)
    for _ in range(300):
        learn(steps, rows[random.permutation(400)[:40]], rounds=1)
    assert likelihood(steps, rows) == pytest.approx(likelihood(rounds, rows), abs=0.02)


def test_the_first_steps_do_not_forget_the_beginning():
    """One row, again and again, must not drag the members that it does not belong to."""
    rows, _ = clouds()
    model = mixture(learning=Stepwise(0.7))
    model.begin(rows, np.random.default_rng(0))
    before = model.family.means.clone()
    learn(model, rows[:1], rounds=3)
    moved = (model.family.means - before).norm(dim=1)
    assert (moved < 1e-6).sum() == 3 and torch.isfinite(model.family.means).all()


def test_spread_picks_far_rows_and_each_at_most_once():
    rows, cloud = clouds()
    hits = [len(set(cloud[spread(rows, 4, np.random.default_rng(seed))].tolist())) for seed in range(20)]
    assert min(hits) >= 3 and np.mean(hits) > 3.8
    assert len(set(spread(rows, 200, np.random.default_rng(0)).tolist())) == 200


def test_spread_over_rows_that_are_alike_takes_any():
    assert spread(torch.zeros(3, 2), 5, np.random.default_rng(0)).tolist() == pytest.approx([1] * 5, abs=1)


# --- conditions -------------------------------------------------------------------------------------------------------


def labelled(label, rows=1):
    """Encoded conditions of two classes; -1 is unknown."""
    return torch.tensor([[float(label == 0), float(label == 1)]]).repeat(rows, 1)


def test_members_of_one_class_say_nothing_of_another():
    rows, cloud = clouds()
    model = mixture(PETS)
    condition = torch.nn.functional.one_hot(cloud % 2, 2).float()  # cats below, dogs above
    model.begin(rows, np.random.default_rng(0))
    model.place(rows, condition, np.random.default_rng(1))
    assert model.placed.all()
    assert torch.equal((model.family.means[:, 1] > 0).long(), model.owners)
    learn(model, rows, condition)
    assert torch.equal((model.family.means[:, 1] > 0).long(), model.owners)
    for label in (0, 1):
        members = model.choose(labelled(label, 50), ImageRng(0, range(50)))
        assert (model.owners[members] == label).all()


def test_members_wait_for_images_of_their_class():
    rows, _ = clouds()
    model = mixture(PETS)
    model.begin(rows, np.random.default_rng(0))
    model.place(rows[:8], labelled(1, 8), np.random.default_rng(1))
    assert model.placed.tolist() == [False, True, False, True]
    model.place(rows[:1], labelled(0), np.random.default_rng(1))  # one image for two members
    assert int(model.placed.sum()) == 3
    model.place(rows[:8], labelled(-1, 8), np.random.default_rng(1))  # a label that is unknown places nobody
    assert int(model.placed.sum()) == 3


def test_an_unknown_class_is_summed_over():
    rows, cloud = clouds()
    model = mixture(PETS)
    condition = torch.nn.functional.one_hot((cloud == 0).long(), 2).float()
    model.begin(rows, np.random.default_rng(0))
    model.place(rows, condition, np.random.default_rng(1))
    learn(model, rows, condition)
    share = torch.tensor([model.weights[model.owners == label].sum() for label in (0, 1)])
    torch.testing.assert_close(share, torch.tensor([0.75, 0.25]).double(), atol=1e-3, rtol=0)
    known = torch.stack([model.log_prob(rows, labelled(label, 200)) for label in (0, 1)], 1)
    unknown = model.log_prob(rows, labelled(-1, 200))
    torch.testing.assert_close(unknown, (known + share.log()).logsumexp(1))


def test_attributes_say_which_member_it_is():
    """Large is what lies to the right; of each size there are two clouds."""
    rows, cloud = clouds()
    model = mixture(SIZED)
    values = torch.nn.functional.one_hot((cloud >= 2).long(), 2).float()
    condition = torch.cat([values, torch.ones_like(values)], 1)
    model.begin(rows, np.random.default_rng(0))
    learn(model, rows, condition)
    large = torch.tensor([[0.0, 1, 1, 1]]).repeat(100, 1)
    members = model.choose(large, ImageRng(0, range(100)))
    right = (model.family.means[members, 0] > 0).double().mean()
    assert right > 0.9 and len(members.unique()) >= 2
    unknown = model.choose(torch.zeros(100, 4), ImageRng(0, range(100)))
    assert len(unknown.unique()) == 4


def test_members_are_chosen_as_often_as_their_weights_say():
    model = mixture()
    model.weights.copy_(torch.tensor([0.5, 0.3, 0.2, 0.0]))
    chosen = model.choose(torch.zeros(4000, 0), ImageRng(0, range(4000)))
    torch.testing.assert_close(chosen.bincount(minlength=4) / 4000, model.weights.float(), atol=0.03, rtol=0)


def test_a_mixture_of_bernoullis_learns_its_templates():
    torch.manual_seed(0)
    templates = (torch.rand(3, 40) < 0.5).double() * 0.8 + 0.1
    which = torch.arange(600) % 3
    rows = (torch.rand(600, 40) < templates[which]).double()
    model = Mixture(BernoulliFamily(6, 40, smoothing=0.01), DataSpec(1, 5, 8), FullRounds(600)).double()
    model.begin(rows, np.random.default_rng(0))
    learn(model, rows)
    assert torch.cdist(templates, model.family.probability).min(1).values.max() < 0.4
