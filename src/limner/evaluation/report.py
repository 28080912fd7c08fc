"""What an evaluation looks like to people: fills the page (page/) from the numbers and the images behind them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..metrics.neighbours import nearest, small_pixels
from ..metrics.number import Number
from . import explain
from .compare import Difference
from .evaluate import Evaluation
from .material import ImageSet, Material, NotApplicable
from .page import (
    Curve,
    Entrant,
    Gallery,
    Leaderboard,
    Neighbours,
    Pair,
    Report,
    Series,
    Skipped,
    Table,
    render_leaderboard,
    render_report,
)
from .page.model import Cell

SHOWN = 64  # samples in the first gallery
EXTREME = 16  # best samples, and worst
EXPLAINED = 8  # samples beside the training images nearest to them
STRIP = 8  # samples of an entrant
WAYS = 4  # that a latent is moved along, of either kind


def page(evaluation: Evaluation, material: Material) -> str:
    """The HTML of report.html."""
    best, worst = _extremes(material)
    return render_report(
        Report(
            title=evaluation.subject,
            subtitle=f"judged by {len(material.generated):,} images against {len(material.real):,} real ones "
            f"({material.real.name}, {material.split})",
            verdict=_verdict(evaluation.numbers),
            facts=_facts(evaluation.about),
            numbers=evaluation.numbers,
            floors=evaluation.floors,
            samples=Gallery(
                "Samples", _first(material.generated), f"The first {min(SHOWN, len(material.generated))}, not chosen."
            ),
            best=best,
            worst=worst,
            neighbours=_neighbours(evaluation.numbers, material),
            curves=[*_responses(evaluation.numbers)],
            tables=[*_by_class(evaluation.numbers)],
            galleries=_latent(material),
            skipped=[Skipped(name, why) for name, why in evaluation.skipped],
            commands=[command(evaluation)],
        )
    )


def command(evaluation: Evaluation) -> str:
    """What measures the same again."""
    about, protocols = evaluation.about, [number.protocol for number in evaluation.numbers]
    words = ["limner", "evaluate", evaluation.subject, *([str(about["data"])] if "data" in about else [])]
    if protocols:
        words += ["-n", str(max(each.generated for each in protocols)), "--split", str(protocols[0].split)]
        words += ["--seed", str(protocols[0].seed)]
    return f"{shlex.join(words)} {about.get('asked', '')}".rstrip()


def comparison_page(evaluations: Sequence[Evaluation], differences: Sequence[Difference], against: str) -> str:
    """The HTML of several subjects side by side."""
    first = evaluations[0]
    again = shlex.join(["limner", "compare", *(each.subject for each in evaluations), "--against", against])
    return render_leaderboard(
        Leaderboard(
            title=f"Compared on {against}",
            entrants=[entrant(each) for each in evaluations],
            floors=first.floors,
            notes=[sentence(difference) for difference in differences],
            skipped=[Skipped(f"{each.subject}: {name}", why) for each in evaluations for name, why in each.skipped],
            commands=[f"{again} {first.about.get('asked', '')}".rstrip()],
        )
    )


def entrant(evaluation: Evaluation, material: Material | None = None, *, subtitle: str = "") -> Entrant:
    """One subject on a page of several."""
    strip = None if material is None else np.asarray(material.generated.images[:STRIP])
    return Entrant(evaluation.subject, evaluation.numbers, subtitle, _facts(evaluation.about), strip)


def sentence(difference: Difference) -> str:
    """A difference in words."""
    between = "" if difference.low is None else f" ({difference.low:.4g} … {difference.high:.4g})"
    found = difference.verdict if difference.verdict.startswith("no ") else f"{difference.verdict} is better"
    return f"{difference.name}: {difference.first} − {difference.second} = {difference.value:.4g}{between}: {found}"


def _facts(about: Mapping[str, Any]) -> dict[str, str]:
    return {
        key.replace("_", " "): f"{value:,}" if isinstance(value, int) else str(value) for key, value in about.items()
    }


def _first(images: ImageSet) -> np.ndarray:
    return np.asarray(images.images[:SHOWN])


def _verdict(numbers: Sequence[Number]) -> str:
    """The sentence on copying, where it was measured."""
    for number in numbers:
        if "verdict" in number.details:
            return f"Copying: {number.details['verdict']}. {'; '.join(map(str, number.details.get('reasons', ())))}"
    return ""


def _extremes(material: Material) -> tuple[Gallery | None, Gallery | None]:
    """The samples nearest to a real image in the feature space, and those farthest from all."""
    count = min(EXTREME, len(material.generated) // 2)
    if not count:
        return None, None
    space, rows = _space(material)
    distances = nearest(rows(material.generated), rows(material.real), k=1).distances[:, 0]
    order = np.argsort(distances, kind="stable")
    text = f"by distance to the nearest of {len(material.real):,} real images ({space})"
    found = []
    for title, chosen in (("Nearest to real images", order[:count]), ("Farthest from them", order[-count:][::-1])):
        captions = [f"{distances[row]:.3g}" for row in chosen]
        found.append(Gallery(title, np.asarray(material.generated.images)[chosen], text, captions))
    return found[0], found[1]


def _space(material: Material) -> tuple[str, Callable[[ImageSet], np.ndarray]]:
    if material.extractor is not None:
        return material.extractor.name, lambda side: np.asarray(material.features(side).pooled)
    return "pixels", lambda side: np.concatenate([small_pixels(chunk) for chunk in side.chunks()])


def _neighbours(numbers: Sequence[Number], material: Material) -> list[Neighbours]:
    """Samples beside their nearest training images: first those that were flagged, then the first few."""
    flagged = [row["row"] for number in numbers for row in number.details.get("flagged", ())]
    rows = list(dict.fromkeys([*flagged, *range(len(material.generated))]))[:EXPLAINED]
    try:
        evidence = explain.evidence(material, rows)
    except NotApplicable:
        return []
    pairs = []
    for found in evidence:
        shown = explain.pictures(material, found)
        distances = [match.distance for match in (*found.features, *found.pixels)]
        first = (found.features or found.pixels)[0].name
        flag = "near copy" if found.row in flagged else ""
        pairs.append(Pair(shown[0], shown[1:], distances, flag, f"sample {found.row}, next to {first}"))
    among = "" if explain.all_are_looked_at(material) else f" among the {explain.CANDIDATES} nearest by pixels"
    by = f"by features{among}, then by pixels" if material.extractor is not None else "by pixels"
    return [Neighbours("Nearest training images", pairs, f"Each sample, and the training images nearest to it {by}.")]


def _responses(numbers: Sequence[Number]) -> Iterator[Curve]:
    """The curves of measures that disturb and look."""
    for number in numbers:
        details = number.details
        if "strengths" not in details or "responses" not in details:
            continue
        line = Series(number.name, details["strengths"], details["responses"], details["lows"], details["highs"])
        yield Curve(number.name, str(details.get("unit of strength", "strength")), "response", [line])


def _by_class(numbers: Sequence[Number]) -> Iterator[Table]:
    """One table of all numbers that were also measured class by class."""
    columns = [(number, number.details["per class"]) for number in numbers if number.details.get("per class")]
    if not columns:
        return
    names = dict.fromkeys(name for _, values in columns for name in values)
    rows: list[list[Cell]] = [[name, *(_cell(values.get(name)) for _, values in columns)] for name in names]
    better = ["neither", *(number.better for number, _ in columns)]
    yield Table("Class by class", ["class", *(number.name for number, _ in columns)], rows, better=better)


def _cell(value: Any) -> Cell:
    """A value for a table: measures give a number, or one with its interval."""
    return value.get("value") if isinstance(value, Mapping) else value


def _latent(material: Material) -> list[Gallery]:
    """What moving the latent of a sample does, for models that have latents."""
    galleries = []
    strips = (
        ("Latent dimensions", explain.traversals),
        ("Directions found in the latent space", explain.direction_strips),
    )
    for title, make in strips:
        try:
            found = make(material, count=WAYS)
        except NotApplicable:
            continue
        steps = found.pictures.shape[1]
        text = f"One sample moved along one way a row: {', '.join(found.names)}."
        galleries.append(Gallery(title, found.pictures.reshape(-1, *found.pictures.shape[2:]), text, columns=steps))
    return galleries
