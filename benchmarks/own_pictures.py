"""Pictures that may be published: a scene of OpenMoji (CC BY-SA 4.0), and three manners drawn by formula."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from limner.data.builtin.openmoji import Pen

Colour = tuple[int, int, int]
Thing = tuple[str, int, float, float]

SIDE = 256
THINGS: tuple[Thing, ...] = (  # emoji, width in pixels, left and top of its middle, as shares of the side
    ("🌞", 84, 0.80, 0.20),
    ("🌳", 150, 0.16, 0.58),
    ("🏠", 150, 0.55, 0.60),
    ("🐈", 84, 0.30, 0.84),
    ("🌷", 60, 0.86, 0.86),
)
WARM = ((38, 70, 83), (42, 157, 143), (233, 196, 106), (244, 162, 97), (231, 111, 81))
NIGHT = ((11, 32, 84), (28, 78, 156), (94, 150, 205), (240, 215, 120), (250, 240, 200))


def scene(
    *, top: Colour = (110, 170, 235), bottom: Colour = (235, 245, 255), things: Sequence[Thing] = THINGS
) -> np.ndarray:
    """(256, 256, 3) uint8: a house, a tree and a cat under the sun; the colours are the sky's."""
    rows = np.linspace(0, 1, SIDE)[:, None, None]
    sky = (1 - rows) * np.array(top) + rows * np.array(bottom)
    canvas = Image.fromarray(np.broadcast_to(sky, (SIDE, SIDE, 3)).astype(np.uint8))
    ground = ImageDraw.Draw(canvas)
    ground.ellipse((-120, 150, 260, 420), fill=(120, 170, 90))
    ground.ellipse((60, 170, 420, 460), fill=(150, 190, 100))
    pen = Pen()
    for text, width, across, down in things:
        sprite = Image.fromarray(pen(text)).resize((width, width), Image.Resampling.LANCZOS)
        canvas.paste(sprite, (int(across * SIDE - width / 2), int(down * SIDE - width / 2)), sprite)
    return np.asarray(canvas)


def manners() -> dict[str, np.ndarray]:
    """Name -> (256, 256, 3) uint8."""
    return {"mosaic": mosaic(), "currents": currents(), "hatching": hatching()}


def mosaic(seed: int = 0) -> np.ndarray:
    """Stones of five colours, each nearest to its own point, with dark joints."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    points = np.mgrid[6:SIDE:13, 6:SIDE:13].reshape(2, -1).T + rng.uniform(-5, 5, (400, 2))
    apart = np.hypot(y[..., None] - points[:, 0], x[..., None] - points[:, 1])
    nearest = np.argmin(apart, axis=2)
    two = np.partition(apart, 1, axis=2)[..., :2]
    palette = np.array(WARM)[rng.integers(len(WARM), size=len(points))] + rng.normal(0, 12, (len(points), 3))
    joint = ((two[..., 1] - two[..., 0]) < 2.0)[..., None]
    return np.where(joint, (35, 30, 30), palette[nearest]).clip(0, 255).astype(np.uint8)


def currents(seed: int = 1) -> np.ndarray:
    """Winding bands of night colours, broken into strokes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    bend = 0.16 * np.sin(5.5 * x + 2) + 0.10 * np.sin(9 * y - 4 * x) + 0.05 * np.sin(17 * x + 6 * y)
    along, across = x + 0.5 * bend, y + bend
    strokes = rng.random((64, 12))[(across * 64 % 64).astype(int), (along * 12 % 12).astype(int)]
    level = 0.5 + 0.5 * np.sin(2 * np.pi * 6 * across) + 0.35 * (strokes - 0.5)
    places = level.clip(0, 1) * (len(NIGHT) - 1)
    low = np.minimum(places.astype(int), len(NIGHT) - 2)
    colours, share = np.array(NIGHT, float), (places - low)[..., None]
    return ((1 - share) * colours[low] + share * colours[low + 1]).astype(np.uint8)


def hatching(seed: int = 2) -> np.ndarray:
    """Ink lines that cross where it is dark, on yellowish paper."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    dark = 0.5 + 0.5 * np.sin(x / 37 + 1.5 * np.sin(y / 51)) * np.cos(y / 43)
    ink = np.zeros((SIDE, SIDE))
    for angle, threshold in ((0.8, 0.15), (-0.7, 0.45), (0.1, 0.7)):
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 6 + rng.normal(0, 0.3, (SIDE, SIDE)))
        ink = np.maximum(ink, ((wave > 0.45) & (dark > threshold)) * 1.0)
    paper = np.array([240, 230, 205]) + rng.normal(0, 4, (SIDE, SIDE, 1))
    return (paper - ink[..., None] * (paper - np.array([35, 30, 60])) * 0.9).clip(0, 255).astype(np.uint8)
