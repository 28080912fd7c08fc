"""`limner human make` and `human rank`: a page that asks people, and what their votes say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import ConfigError, DataError
from . import places
from .output import Answer, Common, command, lines, note, shown

if TYPE_CHECKING:
    import numpy as np

    from ..evaluation.page import Leaderboard
    from ..evaluation.people import Key
    from ..metrics.number import Number

PLAIN = Common()
Sources = Annotated[str, Parameter(help="Runs, folders of pictures, or builtin: names; for pairs two or more.")]
Seed = Annotated[int, Parameter(help="Of the pictures, the pairs and their sides.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Asking:
    """What people are asked, how often, and of which pictures."""

    mode: Annotated[Literal["pairwise", "real-or-fake"], Parameter(help="Two pictures a question, or one.")] = (
        "pairwise"
    )
    trials: Annotated[int, Parameter(help="Questions that count.")] = 100
    gold: Annotated[int | None, Parameter(help="Further ones that show who pays attention; a tenth by default.")] = None
    question: Annotated[str | None, Parameter(help="What people read above the pictures.")] = None
    real: Annotated[str | None, Parameter(help="Real pictures: one more source, or what made ones hide among.")] = None
    ties: Annotated[bool, Parameter(show_default=False, help="Let people say that they cannot decide.")] = False
    limit: Annotated[float | None, Parameter(help="Seconds that a picture is shown, in real-or-fake.")] = None
    descriptions: Annotated[Path | None, Parameter(help="Text file: line k is what picture k should show.")] = None
    resolution: Annotated[str | None, Parameter(help="Of all pictures; by default that of the first run.")] = None
    seed: Seed = 0
    device: Annotated[str, Parameter(help="For runs: auto, cpu, cuda, cuda:1, mps …")] = "auto"

    @property
    def golden(self) -> int:
        return round(self.trials / 10) if self.gold is None else self.gold


ASKED = Asking()


def make(
    *sources: Sources,
    out: Annotated[Path, Parameter(help="The page; its key goes beside it, as NAME.key.json.")] = Path("page.html"),
    overwrite: Annotated[bool, Parameter(show_default=False, help="Replace a page and a key that are there.")] = False,
    asking: Asking = ASKED,
    common: Common = PLAIN,
) -> Answer:
    """Make one HTML file on which people judge pictures of SOURCES without knowing whose they are."""
    from .. import durable

    key_path = out.with_suffix(".key.json")
    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {out}: the page is an HTML file; let the name end in .html")
    if not overwrite and (taken := next((path for path in (out, key_path) if path.exists()), None)):
        raise ConfigError(f"{taken} exists, and votes may belong to it; choose another place, or say --overwrite")
    html, key = _page(sources, asking, common)
    durable.make_folder(out.parent)
    durable.write_file(key_path, key.to_json().encode())
    durable.write_file(out, html.encode())
    values = {"page": key.page, "out": str(out), "key": str(key_path), "sources": list(key.sources)}
    facts = {"page": out, "key": f"{key_path} (keep it to yourself)", "questions": f"{len(key.trials):,}"}
    following = [f"{command('human', 'rank', key_path)} VOTES…"]
    title = f"a page that asks {key.question!r} of {', '.join(key.sources)}"
    return Answer(values | {"trials": asking.trials, "gold": asking.golden}, lines(title, facts, following))


def _page(sources: Sequence[str], asking: Asking, common: Common) -> tuple[str, Key]:
    from ..evaluation.people import make_pairwise_page, make_real_or_fake_page

    texts = _lines_of(asking.descriptions) if asking.descriptions else []
    _check(sources, asking)
    every = [*sources, *([asking.real] if asking.real else [])]
    count = len(texts) or _needed(asking, len(every))
    pictures = dict(zip(_names(every), _images(every, asking, count, common, in_order=bool(texts)), strict=True))
    said: dict[str, Any] = {"trials": asking.trials, "gold": asking.golden, "seed": asking.seed}
    if asking.question is not None:
        said["question"] = asking.question
    if asking.mode == "pairwise":
        return make_pairwise_page(pictures, ties=asking.ties, descriptions=texts, **said)
    *made, real = pictures.items()
    return make_real_or_fake_page(real[1], dict(made), limit_seconds=asking.limit, **said)


def _check(sources: Sequence[str], asking: Asking) -> None:
    """Raise ConfigError for flags that do not go together."""
    if asking.mode == "real-or-fake":
        if asking.real is None or not sources:
            raise ConfigError("real-or-fake needs made pictures and real ones: limner human make RUN --real DATA …")
        if asking.ties or asking.descriptions:
            raise ConfigError("--ties and --descriptions go with pairs; leave them out of real-or-fake")
    elif asking.limit is not None:
        raise ConfigError("--limit goes with --mode real-or-fake; pairs are shown until the answer")
    elif len(sources) + (asking.real is not None) < 2:
        raise ConfigError("pairs need two or more sources: limner human make RUN FOLDER …, or RUN --real DATA")


def _needed(asking: Asking, sources: int) -> int:
    """Pictures of each source after which no picture need be shown twice."""
    if asking.mode == "real-or-fake":
        return asking.trials - asking.trials // 2 + asking.golden
    pairs = sources * (sources - 1) // 2
    return (sources - 1) * -(-asking.trials // pairs)


def _names(sources: Sequence[str]) -> list[str]:
    """A name for each source, in full where the short ones are the same. Raises ConfigError for one given twice."""
    if len(set(sources)) < len(sources):
        raise ConfigError(f"{', '.join(sources)}: a source is given twice; give each once")
    short = [places.name_of(source) for source in sources]
    return [name if short.count(name) == 1 else shown(source) for name, source in zip(short, sources, strict=True)]


def _lines_of(path: Path) -> list[str]:
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--descriptions {path} cannot be read: {error}") from None
    if not texts:
        raise ConfigError(f"--descriptions {path} is empty; write one line for each picture")
    return texts


def _images(sources: Sequence[str], asking: Asking, count: int, common: Common, *, in_order: bool) -> list[np.ndarray]:
    """(N, H, W, C) uint8 of each source, all of one size: up to `count` pictures of data, `count` samples of a run."""
    from .. import api
    from ..data.config import parse_resolution

    runs = {source: api.load(source, device=asking.device) for source in sources if _is_model(source)}
    size = parse_resolution(asking.resolution)
    if size is None and runs:
        size = next(iter(runs.values())).data.shape[1:]
    images: list[np.ndarray] = []
    for source in sources:
        if source in runs:
            note(common, f"sampling {count:,} pictures of {shown(source)}")
            taken = runs[source].sample(count, seed=asking.seed).images
        else:
            taken = _of_data(source, size, count, None if in_order else asking.seed)
        size = size or taken.shape[1:3]
        images.append(_fitted(taken, size))
    return images


def _is_model(source: str) -> bool:
    from ..durable import MANIFEST
    from ..training.folder import RunFolder

    path = Path(source)
    return not source.startswith("builtin:") and (RunFolder(path).is_run or (path / MANIFEST).is_file())


def _of_data(source: str, size: tuple[int, int] | None, count: int, seed: int | None) -> np.ndarray:
    """Up to `count` pictures of data: of a seed, or the first ones in order without."""
    import numpy as np

    from ..data import DataConfig, open_data
    from ..rng import generator

    config = DataConfig(resolution=None if size is None else f"{size[0]}x{size[1]}")
    dataset = open_data(source, config, split=None)
    rows = np.arange(len(dataset)) if seed is None else generator(seed, "pictures for people").permutation(len(dataset))
    return dataset.batch(np.sort(rows[:count])).image


def _fitted(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import numpy as np

    from ..images.resize import fit

    if images.shape[1:3] == tuple(size):
        return images
    return np.stack([fit(image, *size, how="crop", background=(255, 255, 255)) for image in images])


# --- rank -------------------------------------------------------------------------------------------------------------


def rank(
    key: Annotated[Path, Parameter(help="The key that `human make` wrote beside the page.")],
    /,
    *votes: Annotated[Path, Parameter(help="Files that raters saved, or folders of them.")],
    min_gold: Annotated[float, Parameter(help="Leave out who gets fewer gold questions right.")] = 0.8,
    level: Annotated[float, Parameter(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, Parameter(help="Of the resampling behind the intervals.")] = 0,
    out: Annotated[Path | None, Parameter(help="A page with the ranking.")] = None,
    common: Common = PLAIN,
) -> Answer:
    """Say what the VOTES on the page of KEY mean: a ranking, or how often made pictures passed for real."""
    from ..evaluation import people

    if not (0 <= min_gold <= 1 and 0 < level < 1):
        raise ConfigError(f"--min-gold {min_gold}, --level {level}: both are shares; give them between 0 and 1")
    if not votes:
        raise ConfigError(f"say which votes: {command('human', 'rank', key)} VOTES…, files or folders of them")
    opened = people.read_key(key)
    ballots = people.read_votes(_files(votes, key), opened)
    judge = people.rank if opened.mode == "pairwise" else people.unmask
    result = judge(ballots, opened, min_gold=min_gold, seed=seed, level=level)
    numbers = people.numbers(result, opened)
    if out is not None:
        _write_page(out, people.board(result, opened, commands=[command("human", "rank", key, *votes)]))
    values = {"mode": opened.mode, "question": opened.question, **people.values(result)}
    values |= {
        "numbers": {name: number.to_dict() for name, number in numbers.items()},
        "out": str(out) if out else None,
    }
    facts = {**people.facts(result), "page": out}
    return Answer(values, f"{_table(numbers)}\n\n{lines(opened.question, facts)}")


def _files(votes: Iterable[Path], key: Path) -> list[Path]:
    """The files, and those ending in .json in the folders; never a key."""
    found = [file for path in votes for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    files = [file for file in found if not file.name.endswith(".key.json") and file != key]
    if not files:
        raise DataError(f"no votes in {', '.join(shown(path) for path in votes)}; give the files that raters saved")
    return files


def _write_page(out: Path, board: Leaderboard) -> None:
    from .. import durable
    from ..evaluation.page import render_leaderboard

    if out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {out}: the page is an HTML file; let the name end in .html")
    durable.make_folder(out.parent)
    durable.write_file(out, render_leaderboard(board).encode())


def _table(numbers: Mapping[str, Number]) -> str:
    """Source, value and interval, the best first."""
    from ..evaluation.page.words import interval_text, value_text

    best_first = sorted(numbers.items(), key=lambda item: -item[1].value)
    head = ("", next(iter(numbers.values())).name, "interval")
    rows = [head] + [
        (shown(name), value_text(one.value, one.interval), interval_text(one.interval) if one.interval else "")
        for name, one in best_first
    ]
    wide = [max(len(row[k]) for row in rows) for k in range(3)]
    return "\n".join(f"{row[0]:<{wide[0]}}  {row[1]:>{wide[1]}}  {row[2]:>{wide[2]}}".rstrip() for row in rows)
