"""What mixtures mix: densities against closed forms, maximisation that never lowers the likelihood, draws."""

import itertools

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from limner.nn.families import BernoulliFamily
from limner.nn.gaussian_families import FactorFamily, FullFamily, _root
from limner.nn.mixture import FullRounds, Mixture
from limner.rng import ImageRng
from limner.types import DataSpec

ROWS, SIZE, MEMBERS = 400, 12, 5
NOTHING = torch.zeros(ROWS, 0)


def gaussians(members=MEMBERS, size=SIZE, smoothing=0.0, least_std=0.05):
    torch.manual_seed(0)
    common = {"least_std": least_std, "smoothing": smoothing}
    factors = FactorFamily(members, size, factors=2, **common).double()
    full = FullFamily(members, size, **common).double()
    full.roots.copy_(torch.linalg.cholesky(covariances(factors)))
    return factors, full


def bernoullis(members=MEMBERS, size=SIZE, smoothing=0.0):
    torch.manual_seed(0)
    return BernoulliFamily(members, size, smoothing=smoothing).double()


def covariances(factors):
    """(K, D, D)."""
    return factors.loadings @ factors.loadings.transpose(1, 2) + torch.diag_embed(factors.noise)


def clumps():
    """(400, 12) rows in two clumps that overlap, one column of them constant."""
    random = torch.Generator().manual_seed(1)
    turn = torch.randn(2, SIZE, SIZE, generator=random, dtype=torch.float64) * 0.3
    rows = torch.randn(2, ROWS // 2, SIZE, generator=random, dtype=torch.float64) @ turn
    rows = torch.cat([rows[0] + 1, rows[1] - 0.5])
    rows[:, 3] = 0.25
    return rows


# --- densities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [0, 1], ids=["factors", "full"])
def test_a_gaussian_density_is_that_of_its_mean_and_covariance(kind):
    families = gaussians()
    rows = clumps()[:20]
    exact = MultivariateNormal(families[kind].means, covariances(families[0])).log_prob(rows[:, None])
    torch.testing.assert_close(families[kind].log_prob(rows), exact, rtol=1e-10, atol=1e-9)


def test_bernoulli_probabilities_of_all_rows_add_up_to_one():
    rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64)
    total = bernoullis(size=8).log_prob(rows).exp().sum(0)
    torch.testing.assert_close(total, torch.ones(MEMBERS, dtype=torch.float64))


def test_the_precision_of_a_density_is_that_of_its_rows():
    rows = clumps()[:20]
    for family in (*gaussians(), bernoullis()):
        assert family.log_prob(rows).dtype == torch.float64 and family.log_prob(rows.float()).dtype == torch.float32


# --- maximisation -----------------------------------------------------------------------------------------------------


def families_of(kind, smoothing, *, least_std=0.05):
    return {
        "factors": gaussians(smoothing=smoothing, least_std=least_std)[0],
        "full": gaussians(smoothing=smoothing, least_std=least_std)[1],
        "bernoulli": bernoullis(smoothing=smoothing),
    }[kind]


@pytest.mark.parametrize("kind", ["factors", "full", "bernoulli"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_full_round_never_lowers_the_likelihood(kind, smoothing):
    """With smoothing, the likelihood and its prior together. The constant column keeps a variance at its floor."""
    family, rows = families_of(kind, smoothing), clumps()
    rows = (rows > 0.2).double() if kind == "bernoulli" else rows
    mixture = Mixture(family, DataSpec(1, 3, 4), FullRounds(ROWS)).double()
    mixture.begin(rows, np.random.default_rng(0))
    history = []
    for _ in range(40):
        joint = mixture.log_joint(rows, NOTHING)
        history.append(float(joint.logsumexp(1).mean() + family.log_prior()))
        mixture.learn(rows, joint.softmax(1), NOTHING)
    assert history[-1] > history[0] + 0.5
    assert min(np.diff(history)) > -1e-9


def test_without_smoothing_there_is_no_prior():
    assert all(float(family.log_prior()) == 0 for family in (*gaussians(), bernoullis()))


def test_one_full_gaussian_is_the_mean_and_covariance_of_the_rows():
    family, rows = gaussians(members=1, least_std=1e-6)[1], clumps() + 0.01 * torch.randn(ROWS, SIZE)
    share = torch.ones(ROWS, 1, dtype=torch.float64)
    family.maximise(share.mean(0), family.gather(rows, share))
    torch.testing.assert_close(family.means[0], rows.mean(0))
    torch.testing.assert_close(family.roots[0] @ family.roots[0].T, torch.cov(rows.T, correction=0))


def test_one_member_with_factors_finds_what_factor_analysis_finds():
    oracle = pytest.importorskip("sklearn.decomposition").FactorAnalysis(2, tol=1e-8, max_iter=5_000)
    random = torch.Generator().manual_seed(2)
    loadings, noise = torch.randn(2, SIZE, generator=random), torch.rand(SIZE, generator=random) + 0.2
    rows = torch.randn(ROWS, 2, generator=random) @ loadings + noise * torch.randn(ROWS, SIZE, generator=random) + 3
    rows = rows.double()
    family, share = gaussians(members=1)[0], torch.ones(ROWS, 1, dtype=torch.float64)
    family.begin(rows, rows.mean(0, keepdim=True))
    for _ in range(400):
        family.maximise(share.mean(0), family.gather(rows, share))
    best = oracle.fit(rows.numpy()).score(rows.numpy())
    assert float(family.log_prob(rows).mean()) == pytest.approx(best, abs=1e-3)
    torch.testing.assert_close(covariances(family)[0].numpy(), oracle.get_covariance(), atol=0.02, rtol=0.02)


def test_a_raised_covariance_is_the_most_likely_of_those_above_the_floor():
    """Its likelihood is compared with that of its neighbours whose eigenvalues are raised to the floor as well."""
    torch.manual_seed(3)
    half = torch.randn(4, 2, dtype=torch.float64)
    sample = half @ half.T  # of rank 2: two eigenvalues are 0

    def likelihood(root):
        return -2 * root.diagonal().log().sum() - torch.cholesky_solve(sample, root).trace()

    best = _root(sample, floor=0.1)
    assert float(torch.linalg.eigvalsh(best @ best.T)[0]) == pytest.approx(0.1, rel=1e-4)
    for _ in range(50):
        change = 0.05 * torch.randn(4, 4, dtype=torch.float64)
        other = _root(best @ best.T + change + change.T, floor=0.1)
        assert likelihood(other) < likelihood(best)


@pytest.mark.parametrize("kind", ["factors", "full", "bernoulli"])
def test_a_member_without_rows_keeps_its_parameters(kind):
    family, rows = families_of(kind, 0.1), (clumps() > 0.2).double()
    before = {name: value.clone() for name, value in family.named_buffers()}
    shares = torch.zeros(ROWS, MEMBERS, dtype=torch.float64)
    shares[:, 0] = 1
    family.maximise(shares.mean(0), family.gather(rows, shares))
    for name, value in family.named_buffers():
        if name != "background":
            assert torch.equal(value[1:], before[name][1:]) and not torch.equal(value[0], before[name][0])


# --- beginnings and draws ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["factors", "full", "bernoulli"])
def test_what_is_expected_of_a_member_is_what_its_own_draws_give(kind):
    family, many = families_of(kind, 0.0), 20_000
    found = []
    for member in range(MEMBERS):
        chosen = torch.full((many,), member)
        rows = family.draw(chosen, Draws(many, member), 1.0, noise=True).double()
        shares = torch.nn.functional.one_hot(chosen, MEMBERS).double()
        found.append({name: value[member] for name, value in family.gather(rows, shares).items()})
    for name, value in family.expected().items():
        torch.testing.assert_close(torch.stack([part[name] for part in found]), value.double(), atol=0.06, rtol=0.06)


class Draws:
    """A random source of many rows that are not keyed one by one."""

    def __init__(self, rows, seed):
        self.rows, self.random = rows, torch.Generator().manual_seed(seed)

    def normal(self, *shape):
        return torch.randn(self.rows, *shape, generator=self.random, dtype=torch.float64)

    def uniform(self, *shape):
        return torch.rand(self.rows, *shape, generator=self.random, dtype=torch.float64)


def test_factors_begin_as_principal_components_of_what_the_centres_leave():
    rows = clumps()
    family = gaussians(members=2, least_std=1e-3)[0]
    centres = torch.stack([rows[: ROWS // 2].mean(0), rows[ROWS // 2 :].mean(0)])
    family.begin(rows, centres)
    rest = torch.cat([part - part.mean(0) for part in rows.chunk(2)])
    nearest = torch.cdist(rows, centres).argmin(1)
    assert (nearest[: ROWS // 2] == 0).all() and (nearest[ROWS // 2 :] == 1).all()
    values, vectors = torch.linalg.eigh(rest.T @ rest / ROWS)
    directions = torch.nn.functional.normalize(family.loadings[0], dim=0)
    torch.testing.assert_close((directions * vectors[:, [-1, -2]]).sum(0).abs(), torch.ones(2, dtype=torch.float64))
    total = (covariances(family)[0]).diagonal()
    torch.testing.assert_close(total, rest.square().mean(0).clamp(min=1e-6), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["factors", "full", "bernoulli"])
def test_a_draw_is_the_same_alone_and_among_others(kind):
    family = families_of(kind, 0.0).float()
    chosen = torch.tensor([2, 0, 4, 2])
    together = family.draw(chosen, ImageRng(0, range(4)), 1.0, noise=True)
    for row in range(4):
        alone = family.draw(chosen[row : row + 1], ImageRng(0, [row]), 1.0, noise=True)
        torch.testing.assert_close(together[row : row + 1], alone)


@pytest.mark.parametrize("kind", ["factors", "full"])
def test_at_temperature_0_a_gaussian_gives_its_mean(kind):
    family = families_of(kind, 0.0).float()
    drawn = family.draw(torch.arange(MEMBERS), ImageRng(0, range(MEMBERS)), 0.0, noise=True)
    torch.testing.assert_close(drawn, family.means)


def test_at_temperature_0_bernoulli_pixels_are_the_likelier_value():
    family = bernoullis().float()
    drawn = family.draw(torch.arange(MEMBERS), ImageRng(0, range(MEMBERS)), 0.0, noise=True)
    assert torch.equal(drawn, (family.probability > 0.5).float())
