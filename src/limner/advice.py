"""Which model for these images, in this time, on this machine: a short list, with what each would come to.

Three questions, in this order, and each has one place:
  what suits the images?      `suited`: a handful of rules over what is plain to see of them, best first
  what does a step cost?      trial.py: each of those is really trained for seconds, at the real shape
  does the budget do?         `ranked`: who is shown as many images as it needs comes first, in the order of the rules

The rules, and where their numbers come from, are argued in docs/advice.md. Nothing here knows how fast a model is.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import models as catalogue
from . import trial
from .config import from_dict
from .data import DataConfig, Dataset, open_data
from .data.fill import Progress
from .errors import ConfigError
from .running import pick_device
from .training.plan import parse_duration
from .trial import Ask, Cost, StageCost

FEW = 500  # images, below which generators of every kind are prone to give back what they were shown
LIMITED = 5_000  # images, below which a discriminator learns them by heart unless it sees them augmented
PER_CLASS = 500  # images of a class, below which a conditional GAN was seen to collapse
LOW_RESOLUTION = 1_024  # values of an image that a network without convolutions may take: up to 32x32 in gray
LEAST_STEPS = 100  # of every stage, below which nothing can be said to have been trained
SHORT_LIST = 3
_PAUSE_EVERY = 60.0  # seconds of a run between previews, which is what it does by default
_TRIAL_SECONDS = 120.0  # after which a trial is given up


@dataclass(frozen=True)
class Facts:
    """What the rules look at.

    black_and_white   whether practically every pixel is one or the other
    accelerator       whether training is on something other than a CPU
    """

    images: int
    channels: int
    height: int
    width: int
    classes: int = 0
    captions: bool = False
    black_and_white: bool = False
    accelerator: bool = False

    @property
    def values(self) -> int:
        """Numbers in an image."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Candidate:
    """A model that suits the images.

    good_for   what one gets, as the beginning of a sentence
    needs      images that each stage must be shown before it is worth its place, as far as was measured
    """

    model: str
    good_for: str
    needs: tuple[int, ...]
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """What one stage of a run would come to: its time, and what it gets done in it."""

    model: str
    seconds: float
    step_seconds: float
    steps: int
    images: int


@dataclass(frozen=True)
class Choice:
    """A candidate with what it would come to in the budget.

    seconds   by the clock, from the command to the finished model
    memory    bytes at the most; `disk` bytes of the run
    ready     share of the images it needs that the budget shows it; of its stages, the least
    """

    candidate: Candidate
    stages: tuple[Stage, ...]
    seconds: float
    memory: int
    disk: int
    ready: float
    epochs: float
    reason: str
    warning: str
    command: str


@dataclass(frozen=True)
class Advice:
    """The short list, best first, and why others are not on it."""

    data: str
    budget: str
    facts: Facts
    choices: tuple[Choice, ...]
    left_out: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def advise(
    data: str | Path,
    *,
    budget: str = "10m",
    device: str = "auto",
    models: Sequence[str] | None = None,
    data_config: DataConfig | Mapping[str, Any] | None = None,
    trial_seconds: float = 4.0,
    fresh: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Advice:
    """Three models for these images, best first, with what each would come to in `budget` on this machine.

    models          names to choose among, instead of what the rules find to suit the images
    data_config     how images are read: resolution, fit, channels, flip …
    trial_seconds   that each stage of each is trained for, to see what a step costs
    fresh           try again what was tried within the last day
    progress        as for `limner.train`; `say` is called with what is tried

    Takes a quarter of a minute for each model that is tried. Raises ConfigError when the budget is too short for 100
    steps of anything, or nothing can be trained on these images; DataError for data that cannot be used.
    """
    seconds = parse_duration("budget", budget)
    given = data_config if isinstance(data_config, DataConfig) else from_dict(DataConfig, data_config or {})
    reading = _said(given)
    dataset = open_data(data, given, split="train", progress=progress)
    facts = look(dataset, accelerator=pick_device(device).type != "cpu")
    choices, left_out = [], {}
    words = _words(data, budget, device, reading)
    for candidate in suited(facts) if models is None else named(models, facts):
        say(f"trying {candidate.model}")
        ask = Ask(candidate.model, str(data), candidate.config, reading, device, trial_seconds)
        try:
            cost = trial.measured(ask, timeout=_TRIAL_SECONDS, fresh=fresh)
        except ConfigError as error:
            left_out[candidate.model] = str(error)
            continue
        choices.append(choice(candidate, cost, facts, seconds, words))
    return shortlist(str(data), budget, facts, choices, left_out)


# --- what suits the images ------------------------------------------------------------------------------------------


def look(dataset: Dataset, *, accelerator: bool = False) -> Facts:
    """What the rules look at, of a data set."""
    rows = np.linspace(0, len(dataset) - 1, min(512, len(dataset)), dtype=np.int64)
    pixels = dataset.batch(rows).image
    extreme = np.mean((pixels == 0) | (pixels == 255))
    return Facts(
        images=len(dataset),
        channels=dataset.spec.channels,
        height=dataset.spec.height,
        width=dataset.spec.width,
        classes=len(dataset.spec.classes),
        captions=bool(dataset.captions),
        black_and_white=bool(dataset.spec.channels == 1 and extreme > 0.99),
        accelerator=accelerator,
    )


def suited(facts: Facts) -> list[Candidate]:
    """The models that suit these images, the best first, were there time for all. The rules are in docs/advice.md."""
    found = []
    if facts.captions:
        found.append(_TEXT_FLOW)
    if facts.black_and_white:
        found.append(_BINARY_VAE)
    if facts.images < FEW:
        found += [_gan(facts), _VAE, _LATENT_FLOW]
    elif facts.accelerator:
        found += [_EDM, _LATENT_FLOW, _gan(facts), _VAE]
    elif facts.images < LIMITED:
        found += [_LATENT_FLOW, _gan(facts), _VAE]
    else:
        found += [_gan(facts), _TOKEN_LM, _LATENT_FLOW, _VAE]
    if facts.values <= LOW_RESOLUTION and facts.images >= FEW:
        found.insert(-1, _FLOW_MLP)
    return [*found, _GMM]


def _gan(facts: Facts) -> Candidate:
    """The GAN, with what little data ask of it."""
    config: dict[str, Any] = {}
    if facts.images < LIMITED:
        config["augment"] = ["translation", "cutout"]
    if facts.classes and facts.images < PER_CLASS * facts.classes:
        config["conditional"] = "none"
    return Candidate("gan", "Sharp pictures, each in one pass", (150_000,), config)


_TEXT_FLOW = Candidate("text-flow", "Pictures of what a text describes", (100_000, 500_000))
_LATENT_FLOW = Candidate("latent-flow", "Faithful and varied pictures, also of few images", (60_000, 200_000))
_TOKEN_LM = Candidate("token-lm", "Faithful and varied pictures, drawn piece by piece", (60_000, 50_000))
_EDM = Candidate("edm", "The best published numbers, at the most work", (700_000,))
_FLOW_MLP = Candidate("flow-mlp", "Varied pictures at low resolution, from a network without convolutions", (500_000,))
_BINARY_VAE = Candidate("binary-vae", "A good likelihood of black and white images, and their latents", (300_000,))
_VAE = Candidate("vae", "A safe first look: soft pictures, and latents to edit and interpolate in", (100_000,))
_GMM = Candidate("gmm", "A floor with an exact density, that networks should beat", (0,))
_KNOWN = {each.model: each for each in (_TEXT_FLOW, _LATENT_FLOW, _TOKEN_LM, _EDM, _FLOW_MLP, _BINARY_VAE, _VAE, _GMM)}


def named(names: Sequence[str], facts: Facts) -> list[Candidate]:
    """The candidates that a person names; of those without a rule it is not known how much they need."""
    known = {**_KNOWN, "gan": _gan(facts)}
    found = []
    for name in dict.fromkeys(names):
        summary = catalogue.entry(name).summary
        stages = 2 if trial.first_share(name) else 1
        found.append(known.get(name, Candidate(name, summary[0].upper() + summary[1:], (0,) * stages)))
    if not found:
        raise ConfigError("models names nothing to choose among; leave it out, or give for example vae,gan")
    return found


# --- what the budget gives ------------------------------------------------------------------------------------------


def choice(candidate: Candidate, cost: Cost, facts: Facts, budget: float, words: Sequence[str]) -> Choice:
    """What a candidate would come to in `budget` seconds; `words` follow its name in the command."""
    stages = tuple(
        _stage(name, each, length)
        for name, each, length in zip(_stage_names(candidate), cost.stages, _lengths(candidate, budget), strict=True)
    )
    around = cost.start + sum(each.setup + each.pause + each.end for each in cost.stages)
    ready = min(
        (1.0 if not needed else stage.images / needed for stage, needed in zip(stages, candidate.needs, strict=True))
    )
    epochs = stages[-1].images / facts.images
    return Choice(
        candidate=candidate,
        stages=stages,
        seconds=budget + around,
        memory=cost.memory,
        disk=cost.disk,
        ready=ready,
        epochs=epochs,
        reason=_reason(candidate, stages, ready, epochs),
        warning=_warning(candidate, facts),
        command=shlex.join(["limner", "train", candidate.model, *words, *assignments(candidate.config)]),
    )


def _stage_names(candidate: Candidate) -> list[str]:
    if not trial.first_share(candidate.model):
        return [candidate.model]
    return [catalogue.configure(candidate.model, candidate.config).first, candidate.model]


def _lengths(candidate: Candidate, budget: float) -> list[float]:
    share = trial.first_share(candidate.model)
    return [budget * share, budget * (1 - share)] if share else [budget]


def _stage(name: str, cost: StageCost, length: float) -> Stage:
    """Checkpoints and previews come out of the time of a stage, for its plan counts them."""
    training = max(0.0, length - cost.pause * (length // _PAUSE_EVERY))
    steps = int(training / cost.step)
    return Stage(name, length, cost.step, steps, steps * cost.batch)


def _reason(candidate: Candidate, stages: Sequence[Stage], ready: float, epochs: float) -> str:
    shown = f"{candidate.good_for}; it sees {stages[-1].images:,} images ({epochs:,.1f} epochs)"
    if len(stages) > 1:
        shown += f" after {stages[0].images:,} for its {stages[0].model}"
    if not max(candidate.needs):
        return f"{shown}."
    enough = f"the {max(candidate.needs):,} it needs" if ready >= 1 else f"only {ready:.0%} of what it needs"
    return f"{shown}: {enough}."


def _warning(candidate: Candidate, facts: Facts) -> str:
    if facts.images >= FEW or candidate.model == "gmm":
        return ""
    return (
        f"{facts.images} images are so few that it may give them back: "
        f"look at `limner evaluate RUN --metrics memorisation` before showing its pictures"
    )


def assignments(config: Mapping[str, Any]) -> list[str]:
    """Settings as `--set` flags."""
    written = {key: ",".join(value) if isinstance(value, list) else value for key, value in config.items()}
    return [word for key, value in written.items() for word in ("--set", f"{key}={value}")]


# --- the short list -------------------------------------------------------------------------------------------------


def ranked(choices: Sequence[Choice]) -> list[Choice]:
    """Those that get what they need first, in the order given; then the others, by how much of it they get."""
    return sorted(choices, key=lambda each: -min(1.0, each.ready))  # a stable sort keeps the order of equals


def shortlist(data: str, budget: str, facts: Facts, choices: Sequence[Choice], left_out: Mapping[str, str]) -> Advice:
    """The best three of those that take 100 steps of every stage; raises ConfigError when there is none."""
    left_out = dict(left_out)
    if not choices:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ConfigError(f"no model can be trained on {data}: {reasons}")
    fit = [each for each in choices if min(stage.steps for stage in each.stages) >= LEAST_STEPS]
    for each in choices:
        if each not in fit:
            needed = _spelled(_shortest(each, budget))
            left_out[each.candidate.model] = f"budget={budget} is too short for {LEAST_STEPS} steps; it takes {needed}"
    if not fit:
        quickest = min(choices, key=lambda each: _shortest(each, budget))
        raise ConfigError(
            f"budget={budget} is too short for {LEAST_STEPS} steps of anything on these images; the quickest, "
            f"{quickest.candidate.model}, needs --budget {_spelled(_shortest(quickest, budget))}; give that, or "
            f"smaller images: --resolution {max(8, min(facts.height, facts.width) // 2)}"
        )
    best = ranked(fit)
    for each in best[SHORT_LIST:]:
        left_out[each.candidate.model] = f"comes after these: {each.reason}"
    return Advice(data, budget, facts, tuple(best[:SHORT_LIST]), left_out)


def _shortest(choice: Choice, budget: str) -> float:
    """Seconds of a run in which every stage takes 100 steps."""
    whole = parse_duration("budget", budget)
    return max(LEAST_STEPS * stage.step_seconds * whole / stage.seconds for stage in choice.stages)


def _spelled(seconds: float) -> str:
    """A time as `--budget` takes it, rounded up, with a fifth to spare for a slower moment."""
    seconds *= 1.2
    return f"{max(1, -int(-seconds // 1))}s" if seconds < 120 else f"{-int(-seconds // 60)}m"


# --- the command ----------------------------------------------------------------------------------------------------


def _said(reading: DataConfig) -> dict[str, Any]:
    """What differs from the defaults."""
    usual = asdict(DataConfig())
    return {key: value for key, value in asdict(reading).items() if value != usual[key]}


def _words(data: str | Path, budget: str, device: str, reading: Mapping[str, Any]) -> list[str]:
    """What follows the model in `limner train`."""
    words = [str(data), "--budget", budget]
    words += ["--device", device] if device != "auto" else []
    return words + [word for key, value in reading.items() for word in ("--set", f"data.{key}={value}")]
