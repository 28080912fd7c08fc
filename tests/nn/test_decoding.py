"""Drawing tokens: exact distributions, and fast ways that give what slow ways give."""

import itertools
import math

import pytest
import torch

from limner.nn.decoding import UNKNOWN, by_confidence, drawn, guided, narrowed, one_by_one, scale_by_scale

VOCABULARY, PLACES = 3, 3
MASK = VOCABULARY
SEQUENCES = list(itertools.product(range(VOCABULARY), repeat=PLACES))


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def table():
    """(3, 3, 3) a joint distribution of three tokens that depend on each other."""
    return (3 * torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(5))).flatten().softmax(0).view(3, 3, 3)


def conditionals(tokens):
    """(B, 3) tokens, MASK where unknown -> (B, 3, 3) logits: exactly p(token at a place | the known ones)."""
    rows = []
    for row in tokens.tolist():
        joint = table()
        for place, token in enumerate(row):
            if token != MASK:
                others = [other for other in range(VOCABULARY) if other != token]
                joint = joint.index_fill(place, torch.tensor(others), 0.0)
        rows.append(torch.stack([joint.sum([p for p in range(PLACES) if p != place]) for place in range(PLACES)]))
    return torch.stack(rows).log()


class Remembered:
    """`conditionals`, worked out once for each of the 64 things that can be known."""

    def __init__(self):
        known = torch.tensor(list(itertools.product(range(VOCABULARY + 1), repeat=PLACES)))
        self._logits = conditionals(known)

    def __call__(self, tokens):
        return self._logits[(tokens * torch.tensor([16, 4, 1])).sum(1)]


LOGITS_OF = Remembered()


def chi_square(tokens, expected):
    """Pearson's statistic of (B, 3) tokens against a joint table; its mean is the 26 degrees of freedom."""
    cell = (tokens * torch.tensor([9, 3, 1])).sum(1)
    counts, wanted = torch.bincount(cell, minlength=27), len(tokens) * expected.flatten()
    return float(((counts - wanted).square() / wanted).sum())


LIKELY = 26 + 3 * math.sqrt(2 * 26)  # three standard deviations above the mean


# --- one token ------------------------------------------------------------------------------------------------------


def test_evenly_spaced_numbers_draw_tokens_in_proportion_to_their_probabilities():
    shares = torch.tensor([0.125, 0.5, 0.0, 0.375])
    numbers = (torch.arange(800) + 0.5) / 800
    tokens = drawn(shares.log().expand(800, 4), numbers)
    assert torch.bincount(tokens, minlength=4).tolist() == [100, 400, 0, 300]


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_a_token_without_probability_is_never_drawn(number):
    """At both ends of [0, 1), where rounding would let the first or the last token through."""
    logits = torch.full((1, 1000), -math.inf)
    logits[0, 100:900] = 0.1 * torch.randn(800, generator=torch.Generator().manual_seed(0))
    assert drawn(logits, torch.tensor([number])).item() == (100 if number == 0 else 899)


def test_many_small_probabilities_add_up_exactly():
    assert drawn(torch.zeros(1, 100_000), torch.tensor([0.750005])).item() == 75_000


def test_temperature_divides_logits_and_0_leaves_the_likeliest():
    logits = torch.tensor([[1.0, 3.0, 2.0]])
    assert torch.equal(narrowed(logits, temperature=0.5), 2 * logits)
    assert narrowed(logits, temperature=0.0).isfinite().tolist() == [[False, True, False]]


def test_top_k_keeps_the_likeliest():
    logits = torch.tensor([[1.0, 3.0, 2.0, 0.0], [0.0, 0.0, 5.0, 1.0]])
    assert narrowed(logits, top_k=2).isfinite().tolist() == [[False, True, True, False], [False, False, True, True]]
    assert torch.equal(narrowed(logits, top_k=9), logits)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.4, [0, 1, 0, 0]), (0.5, [0, 1, 0, 0]), (0.51, [0, 1, 1, 0]), (0.85, [1, 1, 1, 0]), (1.0, [1] * 4)],
)
def test_top_p_keeps_the_fewest_tokens_that_make_up_the_share(top_p, kept):
    logits = torch.tensor([0.125, 0.5, 0.3125, 0.0625]).log()
    assert narrowed(logits, top_p=top_p).isfinite().int().tolist() == kept


def test_a_narrowed_distribution_has_the_old_proportions():
    shares = torch.tensor([0.125, 0.5, 0.3, 0.075])
    torch.testing.assert_close(narrowed(shares.log(), top_k=2).softmax(-1), torch.tensor([0, 0.625, 0.375, 0]))


def test_guidance_of_1_is_none_and_of_0_is_without_condition():
    told, untold = torch.randn(2, 5, 100, generator=torch.Generator().manual_seed(0)) * 7
    assert torch.equal(guided(told, untold, 1.0), told)
    assert torch.equal(guided(told, untold, 0.0), untold)
    torch.testing.assert_close(guided(told, untold, 2.5), untold + 2.5 * (told - untold))


# --- one by one -----------------------------------------------------------------------------------------------------


def in_order(count, known=None, seed=0):
    """`count` sequences drawn in order from the table."""
    told = torch.full((count, PLACES), MASK)

    def logits_after(token, place):
        if place:
            told[:, place - 1] = token
        return LOGITS_OF(told)[:, place]

    return one_by_one(logits_after, drawn, uniform(count, PLACES, seed=seed), start=-7, known=known)


def test_tokens_drawn_in_order_have_the_joint_distribution():
    assert chi_square(in_order(20_000), table()) < LIKELY


def test_each_token_is_told_the_one_before_it_and_the_first_the_start():
    seen = []

    def logits_after(token, place):
        seen.append((place, token.tolist()))
        return torch.eye(5)[[place + 1, place + 2]] * 1e9

    tokens = one_by_one(logits_after, drawn, uniform(2, 3), start=9)
    assert tokens.tolist() == [[1, 2, 3], [2, 3, 4]]
    assert seen == [(0, [9, 9]), (1, [1, 2]), (2, [2, 3])]


def test_known_tokens_stay_and_the_others_follow_from_those_before_them():
    known = torch.tensor([[UNKNOWN, 2, UNKNOWN]]).expand(20_000, 3)
    tokens = in_order(20_000, known)
    assert (tokens[:, 1] == 2).all()
    first = torch.bincount(tokens[:, 0], minlength=3) / 20_000
    torch.testing.assert_close(first, table().sum((1, 2)), atol=0.02, rtol=0)  # it does not know of the token after it


# --- in passes ------------------------------------------------------------------------------------------------------


def in_passes(numbers, **given):
    return by_confidence(LOGITS_OF, drawn, numbers, mask=MASK, **given)


def any_order(numbers):
    """The slow way: places in the order of their Gumbel numbers, each token drawn knowing the ones before it."""
    rows = []
    for row in numbers:
        tokens = torch.full((1, PLACES), MASK)
        for index in range(PLACES):
            hidden = [place for place in range(PLACES) if tokens[0, place] == MASK]
            place = max(hidden, key=lambda place: float(row[index, 1, place]))
            tokens[0, place] = drawn(LOGITS_OF(tokens)[:, place], row[index, 0, place, None])
        rows.append(tokens)
    return torch.cat(rows)


def test_a_pass_for_each_token_is_drawing_them_one_by_one_in_any_order():
    numbers = uniform(200, PLACES, 2, PLACES)
    assert torch.equal(in_passes(numbers, wander=None), any_order(numbers))


def test_a_pass_for_each_token_has_the_joint_distribution_and_fewer_passes_have_not():
    """Tokens of one pass do not know of each other: the price of speed, and what shows that this test can fail."""
    assert chi_square(in_passes(uniform(20_000, PLACES, 2, PLACES), wander=None), table()) < LIKELY
    assert chi_square(in_passes(uniform(20_000, 1, 2, PLACES), wander=None), table()) > 10 * LIKELY


@pytest.mark.parametrize(
    ("passes", "left"),
    [
        (1, [0]),
        (4, [14, 11, 6, 0]),  # 16 cos(pi / 8), 16 cos(pi / 4), 16 cos(3 pi / 8)
        (16, list(range(15, -1, -1))),
        (20, [*range(15, -1, -1), 0, 0, 0, 0]),
    ],
)
def test_a_cosine_says_how_many_tokens_stay_hidden_and_each_pass_keeps_one(passes, left):
    counts = []

    def logits_of(tokens):
        counts.append((tokens == 7).sum(1).tolist())
        return torch.zeros(*tokens.shape, 7)

    tokens = by_confidence(logits_of, drawn, uniform(2, passes, 2, 16), mask=7)
    assert [*counts[1:], (tokens == 7).sum(1).tolist()] == [[count, count] for count in left]


def test_the_surest_tokens_are_kept_when_nothing_wanders():
    """Certain at places 5, 6, 7; the rest is a toss-up."""
    seen = []

    def logits_of(tokens):
        seen.append(tokens.clone())
        logits = torch.zeros(1, 8, 2)
        logits[:, 5:, 1] = 50.0
        return logits

    by_confidence(logits_of, drawn, uniform(1, 3, 2, 8), mask=2, wander=0.0)
    assert seen[1].tolist()[0][5:].count(1) == 2 and seen[1].tolist()[0][:5] == [2] * 5  # 8 cos(pi / 6) = 6.9 stay


def test_noise_on_the_confidences_changes_what_is_kept_and_fades():
    numbers, others = uniform(50, 2, 2, PLACES), uniform(50, 2, 2, PLACES)
    others[:, 0, 1] = uniform(50, PLACES, seed=1)  # other noise on the first of two passes

    def alike(wander):
        return torch.equal(in_passes(numbers, wander=wander), in_passes(others, wander=wander))

    assert alike(0.0) and not alike(4.5)


def test_known_tokens_stay_and_the_others_hear_of_all_of_them():
    known = torch.tensor([[UNKNOWN, UNKNOWN, 2]]).expand(20_000, 3)
    tokens = in_passes(uniform(20_000, PLACES, 2, PLACES), wander=None, known=known)
    assert (tokens[:, 2] == 2).all()
    given = table()[:, :, 2]
    counts = torch.bincount(3 * tokens[:, 0] + tokens[:, 1], minlength=9) / 20_000
    torch.testing.assert_close(counts, (given / given.sum()).flatten(), atol=0.02, rtol=0)


def test_rows_with_different_numbers_of_known_tokens_do_not_disturb_each_other():
    known = torch.tensor([[0, UNKNOWN, UNKNOWN], [UNKNOWN] * 3, [1, 2, 0], [UNKNOWN, 1, 1]])
    numbers = uniform(4, 2, 2, PLACES)
    together = in_passes(numbers, known=known)
    alone = [in_passes(numbers[row : row + 1], known=known[row : row + 1]) for row in range(4)]
    assert torch.equal(together, torch.cat(alone))
    assert (together < VOCABULARY).all() and together[2].tolist() == [1, 2, 0]


# --- scale by scale -------------------------------------------------------------------------------------------------


def test_scales_are_drawn_in_turn_each_knowing_the_coarser_ones():
    seen = []

    def logits_after(tokens):
        seen.append(tokens.tolist())
        side = len(seen)
        return 1e9 * torch.eye(5)[torch.full((1, side * side), side)]

    known = torch.full((1, 14), UNKNOWN)
    known[0, 7] = 4
    tokens = scale_by_scale(logits_after, drawn, uniform(1, 14), (1, 2, 3), known=known)
    assert tokens.tolist() == [[1, *[2] * 4, 3, 3, 4, *[3] * 6]]
    assert seen == [[[]], [[1]], [[1, 2, 2, 2, 2]]]


def test_with_sides_of_1_scales_are_tokens_one_by_one():
    def logits_after(tokens):
        told = torch.nn.functional.pad(tokens, (0, PLACES - tokens.shape[1]), value=MASK)
        return LOGITS_OF(told)[:, tokens.shape[1] :][:, :1]

    assert torch.equal(scale_by_scale(logits_after, drawn, uniform(500, 3), (1, 1, 1)), in_order(500))
