"""Features and the distance of them: Limner's way against that of pytorch-fid, torch-fidelity and clean-fid.

The weights are random, so that nothing has to be downloaded; both sides have the same. Every ratio is of one run, the
contenders taking turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from limner.engine import How
from limner.features.inception import SIDE, TILE, Inception
from limner.features.resize import resize
from limner.metrics.frechet import frechet_distance
from limner.metrics.moments import Moments
from limner.rng import generator

from . import peers_features as peers
from .figures import Figure, Goal, Settings, speedup
from .measure import Ratio, Timing, alternate

ROOT = Path(__file__).resolve().parent.parent
DIMENSION = 2048
PRODUCT = 2048
_MATRIX = torch.ones(PRODUCT, PRODUCT)
EMULATED = "torch bf16"  # on a processor without units for it


def run(settings: Settings) -> list[Figure]:
    weights = settings.folder / "inception.pth"
    state = peers.random_weights()
    torch.save(state, weights)
    return [
        *_extractors(settings, weights, state),
        *_distances(settings),
        _resizes(settings),
        _memory(settings, weights),
    ]


# --- the network ------------------------------------------------------------------------------------------------------


def _extractors(settings: Settings, weights: Path, state: dict[str, torch.Tensor]) -> list[Figure]:
    """The network alone, on images that are resized already: `eager` has the slower resize as well.

    It sees as many images at once as pytorch-fid gives it where nobody says otherwise.
    """
    network, side = peers.eager(state), settings.pick(SIDE, 107)
    count = settings.pick(peers.BATCH, TILE)
    many = torch.from_numpy(generator(0, "bench images").random((count, 3, side, side), np.float32)) * 2 - 1
    images = many[:TILE]

    def eager() -> np.ndarray:
        with torch.inference_mode():
            return network(many)[0].numpy()

    contenders: dict[str, Callable[[], np.ndarray]] = {"eager": eager}
    for name, how in _ways(settings).items():
        extractor = Inception(weights, how=how)
        contenders[name] = lambda extractor=extractor: extractor.run(images)[0].numpy()
    exact = eager()[:TILE]
    errors = {name: _error(contender()[:TILE], exact) for name, contender in contenders.items()}
    rounds = settings.pick(7, 1)
    fast = {name: work for name, work in contenders.items() if name != EMULATED}
    seconds = alternate({**fast, "matrix product": _product}, rounds=rounds)
    timings = {name: Timing(name, taken, count if name == "eager" else TILE) for name, taken in seconds.items()}
    figures = [_extractor(timings[name], timings["eager"], errors[name]) for name in fast if name != "eager"]
    work = 2 * TILE * _products(network, images[:1]) / (2 * PRODUCT**3)  # network over matrix product
    best = min(figures, key=lambda figure: min(figure.timings[0].seconds)).timings[0]
    figures.append(_share(best, timings["matrix product"], work))
    if EMULATED in contenders:  # too slow to be taken along in every round
        pair = alternate({name: contenders[name] for name in ("eager", EMULATED)}, rounds=1)
        slow, plain = Timing(EMULATED, pair[EMULATED], TILE), Timing("eager", pair["eager"], count)
        figures.append(_extractor(slow, plain, errors[EMULATED]))
    return figures


def _share(ours: Timing, product: Timing, work: float) -> Figure:
    """How much of the processor is used: says how far a network could still be sped up without doing less."""
    ratio = Ratio.of(replace(ours, work=work), replace(product, work=1.0))
    name = f"Inception-v3, {ours.name}: its multiplications a second against those of a {PRODUCT}³ matrix product"
    return Figure(name, 100 * ratio.median, "%", None, (100 * ratio.low, 100 * ratio.high), (ours, product))


def _product() -> None:
    _MATRIX @ _MATRIX


def _products(network: nn.Module, image: torch.Tensor) -> int:
    """Multiplications of the convolutions for one image."""
    counts = []

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        counts.append(out[0].numel() * layer.weight[0].numel())

    hooks = [layer.register_forward_hook(count) for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    with torch.inference_mode():
        network(image)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def _ways(settings: Settings) -> dict[str, How]:
    if settings.quick:
        return {"torch fp32": How("torch")}
    ways = {"onnxruntime fp32": How("onnxruntime"), "openvino fp32": How("openvino"), "torch fp32": How("torch")}
    return ways | ({"openvino bf16": How("openvino", "bf16")} if has_bf16() else {EMULATED: How("torch", "bf16")})


def _extractor(ours: Timing, eager: Timing, error: float) -> Figure:
    """ONNX Runtime is what `auto` takes, and has the goal; bf16 has one where the processor has units for it."""
    goal = {"onnxruntime fp32": Goal(2.3), "openvino bf16": Goal(4.5)}.get(ours.name)
    note = f"features differ by {error:.1e} (L2, relative); {TILE} at once, eager {eager.work:.0f}"
    note += f"; {torch.get_num_threads()} threads"
    if ours.name == EMULATED:
        note += "; this processor has no bf16 units, so that bf16 is emulated and has no goal"
    return speedup(f"Inception-v3, {ours.name} against eager fp32", ours, eager, goal=goal, note=note)


def has_bf16() -> bool:
    """Whether the processor has units for bf16."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _error(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


# --- the distance -----------------------------------------------------------------------------------------------------


def _distances(settings: Settings) -> list[Figure]:
    dimension = settings.pick(DIMENSION, 128)
    ours = [_moments(side, dimension) for side in (0, 1)]
    plain = [(side.mean, side.covariance) for side in ours]
    contenders = {
        "limner": lambda: frechet_distance(*ours),
        "square root": lambda: peers.square_root(*plain),
        "eigenvalues": lambda: peers.eigenvalues(*plain),
    }
    values = {name: contender() for name, contender in contenders.items()}
    timed = {name: (lambda work=work: _nothing(work)) for name, work in contenders.items()}
    seconds = alternate(timed, rounds=settings.pick(3, 1))
    timings = {name: Timing(name, taken, unit="distances") for name, taken in seconds.items()}
    return [
        speedup(
            f"Fréchet distance in {dimension:,} dimensions against {whose}",
            timings["limner"],
            timings[name],
            goal=Goal(goal),
            note=f"values differ by {abs(values[name] / values['limner'] - 1):.1e}; full-rank covariances",
        )
        for name, whose, goal in (
            ("square root", "pytorch-fid's square root", 6),
            ("eigenvalues", "torch-fidelity's eigenvalues", 1.6),
        )
    ]


def _moments(side: int, dimension: int) -> Moments:
    """Of twice as many features as dimensions, with variances that fall off as those of networks do."""
    noise = generator(0, "bench features", side)
    scales = (1 + np.arange(dimension, dtype=np.float32)) ** -0.5
    rows = noise.standard_normal((2 * dimension, dimension), np.float32) * scales
    mixed = rows @ noise.standard_normal((dimension, dimension), np.float32) / np.float32(dimension**0.5)
    return Moments.of(mixed + np.float32(0.01 * side))


def _nothing(work: Callable[[], object]) -> None:
    """Without its result, which `alternate` would take for a time."""
    work()


# --- the resize, and memory -------------------------------------------------------------------------------------------


def _resizes(settings: Settings) -> Figure:
    """On one thread: Pillow has no more."""
    images = generator(0, "bench pictures").integers(0, 256, (TILE, 32, 32, 3)).astype(np.uint8)
    repeats = settings.pick(40, 2)

    def ours() -> torch.Tensor:
        planes = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()
        return resize(planes, SIDE, SIDE).clamp_(0, 255)

    difference = np.abs(ours().permute(0, 2, 3, 1).numpy() - peers.pillow(images, SIDE)).max()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work = {
            "limner": lambda: [ours() for _ in range(repeats)],
            "pillow": lambda: [peers.pillow(images, SIDE) for _ in range(repeats)],
        }
        seconds = alternate(work, rounds=settings.pick(15, 2))
    finally:
        torch.set_num_threads(threads)
    timings = [Timing(name, seconds[name], repeats * TILE) for name in ("limner", "pillow")]
    note = f"pixels differ by {difference:.1e} of 255 at most; one thread each"
    return speedup("bicubic resize 32 -> 299 against clean-fid's", *timings, goal=Goal(2), note=note)


def _memory(settings: Settings, weights: Path) -> Figure:
    """Of a process that computes, keeps and sums up the features of many images, over its loaded network."""
    count = settings.pick(50_000, 2_000)
    command = [sys.executable, "-m", "benchmarks.features_memory", str(weights), str(settings.folder), str(count)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
    note = (
        f"peak {answer['peak']:.0f} MiB, with the network {answer['model']:.0f}; the network ran on the first "
        f"{answer['real']} images and the other rows are noise; mapped files count"
    )
    name = f"memory of features and covariance of {count:,} images × {DIMENSION:,}, above the model"
    return Figure(name, answer["peak"] - answer["model"], "MiB", Goal(250, at_most=True), note=note)
