"""Patch contrast in closed form."""

import math

import pytest
import torch

from limner.losses.contrast import patch_contrast


def test_alike_patches_cost_the_logarithm_of_their_number():
    same = torch.ones(2, 7, 3) / math.sqrt(3)
    assert float(patch_contrast(same, same, 0.07)) == pytest.approx(math.log(7))


def test_patches_that_stand_apart_cost_what_the_softmax_says_and_the_source_gets_no_gradient():
    apart = torch.eye(4)[None].requires_grad_()
    made = torch.eye(4)[None].requires_grad_()
    cost = patch_contrast(made, apart, 0.5)
    assert float(cost.detach()) == pytest.approx(math.log(1 + 3 * math.exp(-2)))
    cost.backward()
    assert apart.grad is None and made.grad is not None
    assert float(patch_contrast(made.detach()[:, [1, 0, 2, 3]], apart.detach(), 0.5)) > float(cost.detach())
