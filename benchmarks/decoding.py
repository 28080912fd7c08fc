"""Drawing the tokens of images: with and without a cache, in both precisions, and many at a time.

The model is of the size at which LlamaGen's own cached decoder was measured quiet on this kind of CPU, on two cores:
six layers, 384 wide, 11 million parameters, 256 tokens. What takes turns within one run is ours; that figure is older.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from limner import models
from limner.models.token_model import TokenModel
from limner.nn.decoding import one_by_one
from limner.rng import ImageRng
from limner.types import Condition, DataSpec

from .figures import Figure, Goal, Settings, speedup
from .measure import Ratio, Timing, alternate

LLAMAGEN = {1: 136.0, 16: 744.0}  # tokens a second at that batch, fp32
DATA = DataSpec(3, 64, 64, classes=tuple("0123456789"))
TOKENIZER = {"width": 16, "depth": 2, "blocks": 0}  # a grid of 16x16
FIRST: Mapping[str, Mapping[str, Any]] = {
    "token-lm": {**TOKENIZER, "levels": (8, 8, 8)},
    "masked-tokens": {**TOKENIZER, "levels": (8, 8, 8)},
    "next-scale": {**TOKENIZER, "codes": 512},
}
PASSES = 10


def run(settings: Settings) -> list[Figure]:
    rounds = settings.pick(7, 1)
    with torch.inference_mode():
        return [_cache(settings, rounds), *_precisions(settings, rounds), *_parallel(settings, rounds)]


def _cache(settings: Settings, rounds: int) -> Figure:
    """One image, each token after the cached past, or after all of the past read again."""
    model = _build("token-lm", settings)
    timings = _timed({"cached": lambda: _draw(model, 1), "uncached": lambda: _uncached(model)}, model.places, rounds)
    name = f"KV cache against none, {model.places} tokens, batch 1, fp32"
    return speedup(name, timings["cached"], timings["uncached"], goal=Goal(8.0), note=_size(model))


def _precisions(settings: Settings, rounds: int) -> list[Figure]:
    """Tokens a second, over those of LlamaGen."""
    model, figures = _build("token-lm", settings), []
    theirs_then = f"theirs not in this run, on two cores; {torch.get_num_threads()} threads"
    for batch, theirs in LLAMAGEN.items():
        jobs = {each: _job(model, batch, precision=each) for each in ("fp32", "bf16")}
        timings = _timed(jobs, batch * model.places, rounds)
        for precision, goal in (("fp32", 1.5), ("bf16", 2.0)):
            ours = timings[precision]
            figures.append(
                Figure(
                    f"cached decoding in {precision}, batch {batch}, against LlamaGen's {theirs:g} tokens/s",
                    ours.median / theirs,
                    "×",
                    Goal(goal),
                    timings=(ours,),
                    note=f"{ours.median:,.0f} tokens/s; {theirs_then}",
                )
            )
        ratio = Ratio.of(timings["bf16"], timings["fp32"])
        name = f"cached decoding, batch {batch}: bf16 against fp32"
        figures.append(Figure(name, ratio.median, "×", None, (ratio.low, ratio.high), tuple(timings.values())))
    return figures


def _parallel(settings: Settings, rounds: int) -> list[Figure]:
    """Whole pictures, decoded too, by networks of the same size."""
    figures, contenders = [], {name: _build(name, settings) for name in FIRST}
    for precision in ("fp32", "bf16"):
        jobs = {name: _job(model, 1, precision=precision) for name, model in contenders.items()}
        timings = _timed(jobs, 1, rounds, unit="pictures")
        for name, passes in (("masked-tokens", PASSES), ("next-scale", len(contenders["next-scale"].scales))):
            title = f"{name} in {passes} passes against cached decoding, batch 1, {precision}"
            note = f"{contenders[name].places} tokens against {contenders['token-lm'].places}"
            figures.append(speedup(title, timings[name], timings["token-lm"], goal=Goal(3.0), note=note))
    return figures


def _build(name: str, settings: Settings) -> Any:
    torch.manual_seed(0)
    width, depth = settings.pick(384, 32), settings.pick(6, 2)
    values = {"first_config": FIRST[name], "width": width, "depth": depth, "head_width": settings.pick(64, 8)}
    return models.build(name, models.configure(name, {**values, "sharing": 1}), DATA).eval()


def _job(model: TokenModel, batch: int, **values: Any) -> Callable[[], object]:
    return lambda: _draw(model, batch, **values)


def _draw(model: TokenModel, batch: int, **values: Any) -> object:
    return model.sample(ImageRng(0, range(batch)), Condition(), model.Options(**values))


def _uncached(model: TokenModel) -> object:
    """What `_draw` makes of one image, the slow way."""
    network, options = model.network, model.Options()
    known = model.conditioning(Condition(), 1)
    prefix, past = network.prefix(known.vector, known.text), torch.zeros(1, 0, dtype=torch.int64)

    def logits_after(token: torch.Tensor, place: int) -> torch.Tensor:
        nonlocal past
        past = torch.cat([past, token[:, None]], dim=1)
        return network(past, prefix)[:, -1]

    numbers = ImageRng(0, [0]).uniform(model.places)
    return model.pictures(one_by_one(logits_after, options.pick, numbers, start=model.tokenizer.vocabulary))


def _timed(
    jobs: Mapping[str, Callable[[], object]], work: float, rounds: int, *, unit: str = "tokens"
) -> dict[str, Timing]:
    seconds = alternate({name: _silent(job) for name, job in jobs.items()}, rounds=rounds)
    return {name: Timing(name, taken, work, unit) for name, taken in seconds.items()}


def _silent(job: Callable[[], object]) -> Callable[[], None]:
    """Without its result, which would be taken for a time."""

    def work() -> None:
        job()

    return work


def _size(model: TokenModel) -> str:
    count = sum(parameter.numel() for parameter in model.network.parameters())
    return f"{count / 1e6:.1f} M parameters, {torch.get_num_threads()} threads"
