"""Each objective at logits whose loss is known in closed form."""

import math

import pytest
import torch

from limner.losses.adversarial import OBJECTIVES, accuracy

ZEROS = torch.zeros(5)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("non_saturating", 2 * math.log(2), math.log(2)),
        ("saturating", 2 * math.log(2), -math.log(2)),
        ("least_squares", 0.5, 0.5),
        ("wasserstein", 0.0, 0.0),
        ("hinge", 2.0, 0.0),
        ("relativistic", math.log(2), math.log(2)),
    ],
)
def test_losses_of_a_discriminator_that_knows_nothing(name, discriminator, generator):
    objective = OBJECTIVES[name]
    assert objective.discriminator(ZEROS, ZEROS).item() == pytest.approx(discriminator)
    assert objective.generator(ZEROS, ZEROS).item() == pytest.approx(generator)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_players_pull_in_opposite_directions(name):
    """The discriminator wants real logits up and made ones down; the generator wants made ones up."""
    real, fake = torch.tensor([0.3, -0.4], requires_grad=True), torch.tensor([0.1, 0.2], requires_grad=True)
    for_real, for_fake = torch.autograd.grad(OBJECTIVES[name].discriminator(real, fake), (real, fake))
    (from_generator,) = torch.autograd.grad(OBJECTIVES[name].generator(real, fake), fake)
    assert (for_real < 0).all() and (for_fake > 0).all() and (from_generator < 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_only_objectives_that_compare_look_at_real_logits_in_the_generator_loss(name):
    fake = torch.tensor([0.5, -0.5])
    near, far = (OBJECTIVES[name].generator(real, fake).item() for real in (torch.zeros(2), torch.full((2,), 9.0)))
    assert (near != far) == OBJECTIVES[name].compares


def test_the_saturating_loss_fades_where_the_discriminator_is_sure_and_the_other_does_not():
    def slope(name):
        fake = torch.tensor([-12.0], requires_grad=True)
        return torch.autograd.grad(OBJECTIVES[name].generator(fake, fake), fake)[0].abs().item()

    assert slope("saturating") < 1e-4 and slope("non_saturating") > 0.99


def test_relativistic_pairing_ignores_a_shift_of_all_logits():
    real, fake = torch.randn(6), torch.randn(6)
    loss = OBJECTIVES["relativistic"].discriminator
    assert loss(real + 7, fake + 7).item() == pytest.approx(loss(real, fake).item(), rel=1e-5)


def test_losses_stay_finite_at_huge_logits():
    huge = torch.tensor([1e4, -1e4])
    for objective in OBJECTIVES.values():
        assert objective.discriminator(huge, -huge).isfinite() and objective.generator(huge, -huge).isfinite()


def test_accuracy_is_the_share_of_pairs_in_order():
    assert accuracy(torch.tensor([1.0, 2.0, 3.0, 0.0]), torch.tensor([0.0, 0.0, 0.0, 1.0])).item() == 0.75
