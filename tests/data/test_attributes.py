"""What a column of a table is taken for, and how it is encoded."""

import numpy as np
import pytest

from limner.data.attributes import encode
from limner.data.sources import Record


def encoded(*values, split="train"):
    """The table of one column `c`, a row for each value."""
    return encode([Record(str(row), split, attributes={"c": value}) for row, value in enumerate(values)])


@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        (["red", "blue", "red"], "categorical", ("blue", "red")),
        (["male", "female"] * 3, "categorical", ("female", "male")),
        ([3, 1, 2, 10, 1], "categorical", ("1", "2", "3", "10")),
        (["0", "1", "1"], "binary", ("0", "1")),
        ([1.0, 0.0], "binary", ("0", "1")),
        ([1, -1], "binary", ("-1", "1")),
        (["True", "false", "TRUE"], "binary", ("false", "true")),
        ([True, False], "binary", ("false", "true")),
        (["Yes", "no"], "binary", ("no", "yes")),
        ([["a", "b"], []], "multilabel", ("a", "b")),
        (["a;b", "b", None], "multilabel", ("a", "b")),
        (["a|c", "b"], "multilabel", ("a", "b", "c")),
        ([0.5, 1.5, 2.25], "continuous", ()),
        (["1e2", "-3.5", "7"], "continuous", ()),
        ([number * number for number in range(20)], "continuous", ()),
        (["a", 1, "a"], "categorical", ("1", "a")),
    ],
)
def test_kinds(values, kind, labels):
    (attribute,) = encoded(*values).attributes
    assert (attribute.kind, attribute.values) == (kind, labels)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["x"] * 5, "one value 'x'"),
        ([None, "", "?"], "no values"),
        ([f"caption {row}" for row in range(40)], "40 different values in 40 rows"),
        ([f"k{row % 300}" for row in range(900)], "300 different values"),
        ([[f"k{row}"] for row in range(300)], "300 different labels"),
        (list(range(100, 150)), "numbers the rows"),
    ],
)
def test_what_is_not_a_condition_is_left_out_with_the_reason(values, reason):
    result = encoded(*values)
    assert result.attributes == () and result.vectors.shape == (len(values), 0)
    assert result.columns[0].kind is None and reason in result.columns[0].note


def test_missing_values_are_zeros_and_not_known():
    missing = [None, "", "null", "NaN", "?", " n/a ", float("nan")]
    result = encoded("a", "b", *missing)
    assert result.known[:, 0].tolist() == [True, True] + [False] * len(missing)
    assert not result.vectors[2:].any()


def test_codes_of_every_kind():
    assert encoded("a", "b").vectors.tolist() == [[1, 0], [0, 1]]
    assert encoded("no", "yes").vectors.tolist() == [[-1], [1]]
    assert encoded(["a"], ["a", "b"], []).vectors.tolist() == [[1, -1], [1, 1], [-1, -1]]
    assert encoded(1.5, 2.5, 3.5).vectors[:, 0] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])


def test_means_and_deviations_are_of_the_training_split():
    train = [Record(str(i), "train", attributes={"c": value}) for i, value in enumerate((1.5, 2.5))]
    (attribute,) = encode([*train, Record("x", "test", attributes={"c": 1000.5})]).attributes
    assert (attribute.mean, attribute.std) == (2.0, 0.5)


def test_columns_lie_side_by_side_and_rows_without_any_are_unknown():
    records = [Record("0", attributes={"a": "x", "b": 1}), Record("1"), Record("2", attributes={"b": 0, "a": "y"})]
    result = encode(records)
    assert [attribute.name for attribute in result.attributes] == ["a", "b"]
    assert np.array_equal(result.vectors, [[1, 0, 1], [0, 0, 0], [0, 1, -1]])
    assert result.known.tolist() == [[True] * 3, [False] * 3, [True] * 3]
