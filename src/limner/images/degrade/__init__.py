"""What makes a bad picture of a good one, exact and seeded: the sources that restoration is trained and judged on.

A chain is written in words, `blur:0-2,down:3,noise:5-25,jpeg:40-90`; see chain.py.
"""

from .chain import Degradation, parse

__all__ = ["Degradation", "parse"]
