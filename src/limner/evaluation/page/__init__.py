"""Reports and leaderboards: one HTML file each, from plain data (model.py)."""

from .model import Curve, Entrant, Gallery, Leaderboard, Neighbours, Pair, Report, Series, Skipped, Table
from .render import render_leaderboard, render_report

__all__ = [
    "Curve",
    "Entrant",
    "Gallery",
    "Leaderboard",
    "Neighbours",
    "Pair",
    "Report",
    "Series",
    "Skipped",
    "Table",
    "render_leaderboard",
    "render_report",
]
