"""Judging by people: pages that ask them, votes that come back, and what the votes say."""

from .key import Key, read_key
from .make import make_pairwise_page, make_real_or_fake_page
from .result import Deception, Preference, deception_numbers, preference_numbers, rank, unmask
from .summary import board, facts, numbers, values
from .votes import Ballot, Vote, read_votes

__all__ = [
    "Ballot",
    "Deception",
    "Key",
    "Preference",
    "Vote",
    "board",
    "deception_numbers",
    "facts",
    "make_pairwise_page",
    "make_real_or_fake_page",
    "numbers",
    "preference_numbers",
    "rank",
    "read_key",
    "read_votes",
    "unmask",
    "values",
]
