"""What pictures should show: drawn from the training images, or asked for by name."""

import numpy as np
import pytest
import torch

from limner.data.attributes import encode as encode_table
from limner.data.sources.base import Record
from limner.errors import ConfigError
from limner.tasks import conditions
from limner.types import Attribute, Condition, DataSpec

COLOUR = Attribute("colour", "categorical", ("blue", "red"))
GLASSES = Attribute("glasses", "binary", ("no", "yes"))
TAGS = Attribute("tags", "multilabel", ("cat", "dog", "fox"))
AGE = Attribute("age", "continuous", mean=40.0, std=10.0)
DATA = DataSpec(1, 8, 8, ("seven", "8", "nine"), (COLOUR, GLASSES, TAGS, AGE))
WIDTH = 2 + 1 + 3 + 1


@pytest.mark.parametrize(("asked", "index"), [("seven", 0), ("8", 1), (8, 1), (2, 2), ("2", 2), (0, 0)])
def test_a_class_is_asked_for_by_name_or_else_by_index(asked, index):
    assert conditions.class_index(DATA, asked) == index


@pytest.mark.parametrize("asked", ["sevn", -1, 3, "", "²", True, 1.5])
def test_a_class_that_is_not_there_is_refused_with_those_that_are(asked):
    with pytest.raises(ConfigError, match="unknown label .*; (did you mean seven|known: 8, nine, seven)"):
        conditions.class_index(DATA, asked)


def test_data_without_classes_has_no_label_to_ask_for():
    with pytest.raises(ConfigError, match="trained on data without classes"):
        conditions.class_index(DataSpec(1, 8, 8), "cat")


@pytest.mark.parametrize(
    ("attribute", "value", "encoded"),
    [
        (COLOUR, "red", [0, 1]),
        (GLASSES, "yes", [1]),
        (GLASSES, "No", [-1]),
        (GLASSES, True, [1]),
        (GLASSES, 0, [-1]),
        (TAGS, "dog", [-1, 1, -1]),
        (TAGS, "dog; cat", [1, 1, -1]),
        (TAGS, ["fox", "cat"], [1, -1, 1]),
        (TAGS, "", [-1, -1, -1]),
        (AGE, 55, [1.5]),
        (AGE, "40", [0]),
    ],
)
def test_an_asked_value_is_laid_out_as_the_attribute_says(attribute, value, encoded):
    assert conditions.encode(attribute, value).tolist() == encoded


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        (COLOUR, "reed", "unknown value of colour 'reed'; did you mean red"),
        (TAGS, "cat|dgo", "unknown value of tags 'dgo'; did you mean dog"),
        (GLASSES, "perhaps", "glasses='perhaps' is neither yes nor no"),
        (AGE, "old", "age='old' is not a number"),
        (AGE, float("nan"), "age=nan is not a number"),
        (AGE, "1e999", "age='1e999' is not a number"),
        (AGE, 10**400, "is not a number"),
    ],
)
def test_a_value_that_cannot_be_is_named(attribute, value, message):
    with pytest.raises(ConfigError, match=message):
        conditions.encode(attribute, value)


def test_asking_agrees_with_how_the_data_was_encoded():
    """The same words, once in the table of a data set and once at sampling."""
    rows = [{"colour": "red", "age": 30.0}, {"colour": "blue", "age": 50.0}, {"colour": "red", "age": 40.0}]
    records = [Record(str(n), "train", None, attributes=row) for n, row in enumerate(rows)]
    table = encode_table(records)
    for row, vector in zip(rows, table.vectors, strict=True):
        asked = torch.cat([conditions.encode(attribute, row[attribute.name]) for attribute in table.attributes])
        assert torch.allclose(asked, torch.from_numpy(vector), atol=1e-6)


def test_what_was_not_asked_for_stays_as_drawn():
    drawn = Condition(torch.tensor([0, 1]), torch.full((2, WIDTH), 0.5), torch.zeros(2, WIDTH, dtype=torch.bool))
    asked = conditions.ask(drawn, DATA, 2, label="nine", attributes={"age": 50})
    assert asked.label.tolist() == [2, 2] and drawn.label.tolist() == [0, 1]
    assert asked.attributes[:, -1].tolist() == [1, 1] and (asked.attributes[:, :-1] == 0.5).all()
    assert asked.known[:, -1].all() and not asked.known[:, :-1].any() and not drawn.known.any()


def test_attributes_can_be_asked_for_where_none_were_drawn():
    asked = conditions.ask(Condition(), DATA, 3, attributes={"colour": "red"})
    assert asked.attributes.shape == asked.known.shape == (3, WIDTH) and asked.known.sum() == 6
    with pytest.raises(ConfigError, match="unknown attribute 'color'; did you mean colour"):
        conditions.ask(Condition(), DATA, 3, attributes={"color": "red"})


def test_each_image_draws_its_own_row_of_the_bank_whatever_the_batch():
    count = 1000
    labels = np.arange(count) % 3
    bank = conditions.bank(labels, np.zeros((count, WIDTH), np.float32), np.ones((count, WIDTH), bool), DATA, seed=0)
    assert len(bank.label) == len(bank.attributes) == 256  # enough to draw from, too few to tell the images
    whole = conditions.draw(bank, 5, range(100))
    alone = [conditions.draw(bank, 5, [index]).label.item() for index in (3, 99, 0)]
    assert alone == [whole.label[index].item() for index in (3, 99, 0)] and len(set(whole.label.tolist())) == 3
    assert not torch.equal(whole.label, conditions.draw(bank, 6, range(100)).label)


def test_without_classes_and_attributes_there_is_nothing_to_draw():
    bank = conditions.bank(np.full(9, -1), np.zeros((9, 0)), np.zeros((9, 0), bool), DataSpec(1, 8, 8), seed=0)
    assert bank == Condition() and conditions.draw(bank, 0, range(4)) == Condition()
