"""Tables of attributes: they hold the frequencies they were shown, for every kind of attribute."""

import math

import pytest
import torch

from limner.nn.attribute_tables import AttributeTables
from limner.types import Attribute

COLOUR = Attribute("colour", "categorical", ("red", "green", "blue"))
ROUND = Attribute("round", "binary", ("no", "yes"))
TAGS = Attribute("tags", "multilabel", ("a", "b"))
AGE = Attribute("age", "continuous")
MANY = 1000


def tables(attribute, values, known=None):
    """Tables of one member that has seen (N, A) values, 0 where they are not known."""
    found, known = AttributeTables(1, [attribute]), torch.ones_like(values) if known is None else known
    found.maximise(found.gather(values * known, known, torch.ones(len(values), 1)))
    return found


def probability(found, *values):
    """exp(log p) of each encoded value."""
    rows = torch.tensor(values)
    return found.log_prob(rows, torch.ones_like(rows))[:, 0].exp()


def test_a_categorical_value_has_its_frequency():
    values = torch.eye(3)[torch.tensor([0] * 500 + [1] * 300 + [2] * 200)]
    found = tables(COLOUR, values)
    torch.testing.assert_close(probability(found, *torch.eye(3).tolist()), torch.tensor([0.5, 0.3, 0.2]))


def test_yes_and_no_have_their_frequencies():
    values = torch.tensor([[1.0]] * 700 + [[-1.0]] * 300)
    torch.testing.assert_close(probability(tables(ROUND, values), [1.0], [-1.0]), torch.tensor([0.7, 0.3]))


def test_each_of_several_labels_is_one_of_its_own():
    values = torch.tensor([[1.0, -1]] * 600 + [[-1.0, -1]] * 200 + [[-1.0, 1]] * 200)
    found = probability(tables(TAGS, values), [1.0, 1.0], [1.0, -1.0])
    torch.testing.assert_close(found, torch.tensor([0.6 * 0.2, 0.6 * 0.8]))


def test_a_number_has_a_normal_density():
    values = 0.5 + 0.3 * torch.randn(MANY, 1, generator=torch.Generator().manual_seed(0))
    found = probability(tables(AGE, values), [0.5], [1.4])
    normal = torch.distributions.Normal(float(values.mean()), float(values.std(correction=0)))
    torch.testing.assert_close(found, normal.log_prob(torch.tensor([0.5, 1.4])).exp(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("attribute", [COLOUR, ROUND, TAGS, AGE], ids=lambda attribute: attribute.name)
def test_what_is_not_known_says_nothing(attribute):
    found = AttributeTables(3, [attribute])
    shares = torch.rand(20, 3)
    zeros = torch.zeros(20, attribute.width)
    found.maximise(found.gather(zeros, zeros, shares))
    assert torch.equal(found.log_prob(zeros, zeros), torch.zeros(20, 3))
    assert torch.equal(found.log_prob(torch.ones(20, attribute.width), zeros + 1), torch.zeros(20, 3))


def test_unknown_images_do_not_dilute_a_frequency():
    values = torch.tensor([[1.0]] * 300 + [[-1.0]] * 100 + [[0.0]] * 600)
    found = tables(ROUND, values, known=(values != 0).float())
    torch.testing.assert_close(probability(found, [1.0]), torch.tensor([0.75]))


def test_a_value_that_was_never_seen_is_rare_and_not_impossible():
    found = tables(COLOUR, torch.eye(3)[torch.zeros(MANY, dtype=torch.int64)])
    assert float(probability(found, [0.0, 1.0, 0.0])) == pytest.approx(1e-3)
    same = tables(AGE, torch.full((MANY, 1), 0.5))
    assert float(probability(same, [0.5])) == pytest.approx(1 / math.sqrt(2 * math.pi * 0.01), rel=1e-4)


def test_a_member_that_saw_little_is_drawn_to_what_holds_for_all():
    found = AttributeTables(2, [ROUND])
    values = torch.tensor([[1.0]] * 500 + [[-1.0]] * 500)
    shares = torch.zeros(1000, 2)
    shares[:, 0] = 1
    shares[0] = torch.tensor([0.999, 0.001])
    found.maximise(found.gather(values, torch.ones_like(values), shares))
    row = torch.ones(1, 1)
    assert found.log_prob(row, row).exp()[0].tolist() == pytest.approx([0.5, 0.5], abs=0.01)
