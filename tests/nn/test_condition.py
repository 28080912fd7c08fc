import pytest
import torch

from limner.errors import ConfigError
from limner.nn.condition import ConditionEncoder, hide, unconditional
from limner.rng import StepRng
from limner.types import Attribute, Condition, DataSpec

DATA = DataSpec(
    1, 8, 8, classes=("cat", "dog", "fox"), attributes=(Attribute("age", "continuous"), Attribute("smile", "binary"))
)


def encode(condition, rows=2, data=DATA):
    return ConditionEncoder(data)(condition, rows, "cpu").tolist()


def test_a_row_is_the_one_hot_label_then_the_attributes_then_which_are_known():
    condition = Condition(
        label=torch.tensor([2, 0]),
        attributes=torch.tensor([[0.5, -1.0], [0.0, 1.0]]),
        known=torch.tensor([[True, True], [False, True]]),
    )
    assert encode(condition) == [[0, 0, 1, 0.5, -1, 1, 1], [1, 0, 0, 0, 1, 0, 1]]


def test_what_is_unknown_is_zeros_however_it_is_said():
    nothing = [[0.0] * 7] * 2
    hidden = Condition(torch.tensor([-1, -1]), torch.full((2, 2), 9.0), torch.zeros(2, 2, dtype=torch.bool))
    assert encode(Condition()) == encode(hidden) == nothing


def test_attributes_without_a_mask_are_known():
    assert encode(Condition(attributes=torch.ones(2, 2)))[0][3:] == [1, 1, 1, 1]


def test_nothing_to_condition_on_is_a_width_of_0():
    assert ConditionEncoder(unconditional(DATA)).width == 0
    assert encode(Condition(label=torch.tensor([1, 1])), data=unconditional(DATA)) == [[], []]


@pytest.mark.parametrize(
    "condition",
    [Condition(label=torch.zeros(3, dtype=torch.int64)), Condition(attributes=torch.zeros(2, 5))],
)
def test_parts_of_another_shape_are_refused(condition):
    with pytest.raises(ConfigError, match="has shape"):
        encode(condition)


def test_hiding_zeroes_whole_rows_at_the_share_asked_for():
    rows = 4000
    hidden = hide(torch.ones(rows, 3), 0.25, StepRng(0, 0, start=0, stop=rows, total=rows))
    assert set(hidden.sum(1).tolist()) == {0.0, 3.0}
    assert (hidden[:, 0] == 0).float().mean() == pytest.approx(0.25, abs=0.03)
