"""What the training loop costs on top of a step written by hand: same networks, losses, optimiser and arithmetic.

What it does for that cost: keyed noise and order, two averages of the weights, a check of every loss and of the
telling gradients, gradient norms and terms in the log, the meter, the plan, and a look at all weights every 50 steps.
"""

from __future__ import annotations

from collections.abc import Callable

from . import pictures
from .by_hand import Batches, GANByHand, VAEByHand
from .figures import Figure, Goal, Settings, added
from .training import Job, Prepared, prepare, race

GOAL = Goal(3.0, at_most=True)
VAE = {"network": "mlp", "width": 500, "depth": 2, "latent": 40, "likelihood": "bernoulli"}


def run(settings: Settings) -> list[Figure]:
    rounds = settings.pick(15, 2)
    return [
        _vae(settings, "fp32", rounds=rounds, steps=settings.pick(80, 3)),
        _vae(settings, "auto", rounds=rounds, steps=settings.pick(80, 3)),
        _gan(settings, rounds=settings.pick(9, 1), steps=settings.pick(6, 1)),
    ]


def _vae(settings: Settings, precision: str, *, rounds: int, steps: int) -> Figure:
    images = pictures.strokes(settings.pick(60_000, 256), 28)
    prepared = prepare(Job("vae", images, 128, VAE, precision))
    by_hand = VAEByHand(
        prepared.model.encoder.layers, prepared.model.decoder.layers, _batches(prepared), prepared.arithmetic
    )
    name = f"MLP VAE 784-500-500-40, 28×28, batch 128, precision={precision}"
    return _compare(settings, name, prepared, by_hand.step, rounds, steps)


def _gan(settings: Settings, *, rounds: int, steps: int) -> Figure:
    side, batch = settings.pick(64, 16), settings.pick(64, 8)
    prepared = prepare(Job("dcgan", pictures.colours(settings.pick(4_000, 200), side), batch))
    by_hand = GANByHand(prepared.model.generator, prepared.model.discriminator, _batches(prepared), prepared.arithmetic)
    name = f"DCGAN, {side}×{side}×3, batch {batch}, precision=auto"
    return _compare(settings, name, prepared, by_hand.step, rounds, steps)


def _compare(
    settings: Settings, name: str, prepared: Prepared, step: Callable[[], None], rounds: int, steps: int
) -> Figure:
    def by_hand() -> None:
        for _ in range(steps):
            step()

    folder = settings.folder / f"{len(list(settings.folder.iterdir()))}"
    timings = race(prepared, {"by hand": by_hand}, rounds=rounds, steps=steps, folder=folder)
    return added(name, timings["limner"], timings["by hand"], goal=GOAL, note=f"both in {prepared.words}")


def _batches(prepared: Prepared) -> Batches:
    return Batches(prepared.job.images, prepared.batch, prepared.arithmetic.memory_format)
