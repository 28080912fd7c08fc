"""The Boltzmann machine against sums over all of its states."""

import itertools

import pytest
import torch

from limner.nn.boltzmann import Machine, log_two_cosh

PIXELS, UNITS = 5, 3
STATES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=PIXELS)), dtype=torch.float64)  # (32, 5)
HIDDEN = torch.tensor(list(itertools.product([0.0, 1.0], repeat=UNITS)), dtype=torch.float64)  # (8, 3)


def machine(seed=0, scale=1.0, rows=None):
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return scale * torch.randn(*shape, generator=random, dtype=torch.float64)

    biases = (draw(PIXELS), draw(UNITS)) if rows is None else (draw(rows, PIXELS), draw(rows, UNITS))
    return Machine(draw(PIXELS, UNITS), *biases, torch.rand(PIXELS, generator=random, dtype=torch.float64))


def energies(found):
    """(32, 8): the energy of every state, term by term as the module's docstring has it."""
    x, h = STATES - found.centre, HIDDEN - 0.5
    return -(x @ found.visible)[:, None] - (h @ found.hidden)[None] - x @ found.weight @ h.T


def joint(found):
    """(32, 8) probabilities of all states."""
    return torch.softmax(-energies(found).flatten(), 0).view(len(STATES), len(HIDDEN))


def test_free_energy_sums_over_all_hidden_units():
    found = machine()
    torch.testing.assert_close(found.free_energy(STATES), -(-energies(found)).logsumexp(1))


def test_conditional_log_odds_are_those_of_the_joint_distribution():
    found = machine()
    p = joint(found)
    on = (p @ HIDDEN) / p.sum(1, keepdim=True)
    torch.testing.assert_close(torch.sigmoid(found.hidden_logits(STATES)), on)
    on = (p.T @ STATES) / p.sum(0)[:, None]
    torch.testing.assert_close(torch.sigmoid(found.visible_logits(HIDDEN)), on)


def test_rows_may_have_biases_of_their_own():
    rows = machine(rows=len(STATES))
    together = rows.free_energy(STATES)
    for k in (0, 7, 31):
        alone = Machine(rows.weight, rows.visible[k], rows.hidden[k], rows.centre)
        torch.testing.assert_close(alone.free_energy(STATES[k : k + 1]), together[k : k + 1])


def test_gibbs_steps_leave_the_distribution_as_it_is():
    """From exact draws, ten steps on, every state is as frequent as its probability says."""
    found, many = machine(scale=0.7), 60_000
    random = torch.Generator().manual_seed(1)
    probability = joint(found).sum(1)
    visible = STATES[torch.multinomial(probability, many, replacement=True, generator=random)]
    for _ in range(10):
        visible = found.gibbs(visible, torch.rand(many, UNITS + PIXELS, generator=random, dtype=torch.float64))
    places = (visible @ (2.0 ** torch.arange(PIXELS - 1, -1, -1, dtype=torch.float64))).long()
    torch.testing.assert_close(places.bincount(minlength=32) / many, probability.float(), atol=0.006, rtol=0)


def test_gibbs_steps_find_the_distribution_from_anywhere():
    found, many = machine(scale=0.7), 60_000
    random = torch.Generator().manual_seed(1)
    visible = torch.zeros(many, PIXELS, dtype=torch.float64)
    for _ in range(60):
        visible = found.gibbs(visible, torch.rand(many, UNITS + PIXELS, generator=random, dtype=torch.float64))
    torch.testing.assert_close(visible.mean(0), STATES.T @ joint(found).sum(1), atol=0.01, rtol=0)


def test_the_pseudo_likelihood_of_all_pixels_is_exact():
    found = machine()
    probability = joint(found).sum(1).view([2] * PIXELS)
    expected = torch.zeros(len(STATES), dtype=torch.float64)
    for pixel in range(PIXELS):
        given_rest = probability / probability.sum(pixel, keepdim=True)
        expected += given_rest.flatten().log()
    torch.testing.assert_close(found.pseudo_log_likelihood(STATES, torch.arange(PIXELS)), expected)
    rows = machine(rows=len(STATES))
    one = Machine(rows.weight, rows.visible[3], rows.hidden[3], rows.centre)
    pixels = torch.tensor([1, 4])
    part = one.pseudo_log_likelihood(STATES[3:4], pixels)
    torch.testing.assert_close(rows.pseudo_log_likelihood(STATES, pixels)[3:4], part)


def test_a_cooled_machine_has_its_energies_divided():
    found = machine()
    torch.testing.assert_close(energies(found.cooled(0.5)), 2 * energies(found))


@pytest.mark.parametrize("value", [0.0, -3.0, 800.0, -800.0])
def test_log_two_cosh_does_not_overflow(value):
    logit = torch.tensor(value, dtype=torch.float64)
    expected = abs(value) / 2 + torch.log1p(torch.exp(-logit.abs()))
    torch.testing.assert_close(log_two_cosh(logit), expected)
