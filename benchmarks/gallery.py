"""Every generating family side by side: `python -m benchmarks.gallery --data mnist=PATH --budget 60s`.

Makes docs/gallery: for each data set a sheet of uncurated samples of every model of the catalogue that makes images
from noise alone, trained for the same time, and a page with parameters, times and Fréchet distances beside those of
real images, of a Gaussian of the pixels, of the mean image, of plain gray and of noise.

Each model is trained in a process of its own, and what it came to is kept in OUT/cache. So it can be stopped and
started again, and be made in parts: calls with other --models add to the page as long as budget, seed and the like
are the same; --draw only draws it anew. Failures are kept too, and shown; --retry tries them again. What a
crashed process said is in OUT/cache/*.log.

    python -m benchmarks.gallery --models gmm,vae --budget 10s
    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.gallery --data openmoji=builtin:openmoji --data mnist=PATH
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from limner import durable, models
from limner.config import from_dict
from limner.errors import ConfigError, LimnerError
from limner.training.plan import parse_duration

from . import gallery_page
from .gallery_page import Section
from .gallery_worker import REAL, Ask, Result

ROOT = Path(__file__).parent.parent
OPENMOJI = "openmoji=builtin:openmoji"
SMALL = {"builtin:openmoji": 32, "builtin:shapes": 32}  # pictures that have no size of their own
QUICK = {"steps": 3, "n": 32, "patience": 60.0}
STOPPED = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a worker


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        wanted = [_ask(text, given) for text in given.data or [OPENMOJI]]
        names = given.models.split(",") if given.models else [] if given.draw else generators()
        for name in names:
            models.entry(name)
    except LimnerError as error:
        parser.error(str(error))
    cache = given.out / "cache"
    durable.make_folder(cache)
    if not given.draw:
        try:
            fill(wanted, cache, jobs=given.jobs, retry=True)  # the images: without them nothing can be trained
            usable = [ask for ask in wanted if not _section(ask, cache).real.failure]
            asks = [replace(ask, model=name) for ask in usable for name in names]
            fill(asks, cache, jobs=given.jobs, retry=given.retry)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return 128 + signal.SIGINT
    sections = [_section(ask, cache) for ask in wanted]
    gallery_page.write(sections, given.out, _command(sections, given))
    print(f"{given.out / 'README.md'}: {sum(len(section.shown) for section in sections)} models with pictures")
    return 0


def generators() -> list[str]:
    """Models of the catalogue that learn to make images from noise: no picture, text or foreign weights needed."""
    from limner.cli.models import abilities

    found = []
    for name in models.CATALOGUE:
        config = models.configure(name, {})
        reads, loads = getattr(config, "text", "none") != "none", hasattr(config, "source")
        if not reads and not loads and "sample" in abilities(name):
            found.append(name)
    return found


# --- training, in other processes -------------------------------------------------------------------------------------


def fill(asks: Iterable[Ask], cache: Path, *, jobs: int = 1, retry: bool = False) -> None:
    """Get every result that the cache lacks, `jobs` at a time; raises KeyboardInterrupt when a worker was stopped."""
    missing = [ask for ask in asks if _is_missing(kept(ask, cache), retry)]
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(_train, ask, cache) for ask in missing]
        try:
            for place, (ask, future) in enumerate(zip(missing, running, strict=True), 1):
                print(f"{place} of {len(missing)}: {ask.name} {ask.model}: {_told(future.result())}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def kept(ask: Ask, cache: Path) -> Result | None:
    """What the cache holds of it, made by the same protocol; None otherwise."""
    try:
        found = from_dict(Result, json.loads((cache / f"{ask.stem}.json").read_bytes()))
    except (OSError, ValueError, LimnerError):  # absent, or of another version of this bench
        return None
    return found if found.ask.protocol == ask.protocol and found.ask.model == ask.model else None


def _is_missing(found: Result | None, retry: bool) -> bool:
    return found is None or bool(found.failure and retry)


def _train(ask: Ask, cache: Path) -> Result:
    """Run the worker; a crash or too long a run becomes a result that says so."""
    (cache / f"{ask.stem}.json").unlink(missing_ok=True)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    limit, began = _limit(ask), time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gallery_worker", str(cache)],
            input=json.dumps(asdict(ask)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=limit,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except subprocess.TimeoutExpired:
        failure = f"it was ended after {limit:.0f} s without a result"
    else:
        if done.returncode in STOPPED:
            raise KeyboardInterrupt
        if (found := kept(ask, cache)) is not None:
            return found
        durable.write_file(cache / f"{ask.stem}.log", done.stderr.encode())
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        failure = f"its process ended with code {done.returncode} after {time.monotonic() - began:.0f} s: {said}"
    result = Result(ask, failure=failure)
    result.save(cache)
    return result


def _limit(ask: Ask) -> float:
    """Seconds after which a worker hangs: twice its times, and ten minutes for data, set-up and features."""
    return 2 * (parse_duration("budget", ask.budget) + ask.patience) + 600


def _told(result: Result) -> str:
    if result.failure:
        return result.failure
    distance = "no FD" if result.fd is None else f"FD {result.fd:,.1f}"
    return distance if result.ask.model == REAL else f"{distance}, trained in {result.clock:.0f} s"


# --- the page ---------------------------------------------------------------------------------------------------------


def _section(ask: Ask, cache: Path) -> Section:
    """All that the cache holds of a data set by the same protocol, whichever call made it."""
    real = kept(ask, cache) or Result(ask, failure="they have not been looked at yet")
    found = []
    for file in sorted(cache.glob(f"{ask.name}-*.json")):
        try:
            model = json.loads(file.read_bytes())["ask"]["model"]
        except (ValueError, KeyError, TypeError):
            continue
        result = kept(replace(ask, model=model), cache)
        if result is not None and model != REAL:
            found.append(result)
    return Section(real, found, cache)


def _command(sections: Sequence[Section], given: argparse.Namespace) -> str:
    """The one call that makes all that is on the page, however many made it; where files lie is the reader's affair."""
    names = dict.fromkeys(result.ask.model for section in sections for result in section.models)
    data = {section.name: section.real.ask.data for section in sections}
    shown = {name: path if path.startswith("builtin:") else "PATH" for name, path in data.items()}
    words = [word for name, path in shown.items() for word in ("--data", f"{name}={path}")]
    words += ["--models", ",".join(names), "--budget", given.budget, "-n", str(given.n), "--seed", str(given.seed)]
    words += ["--resolution", str(given.resolution)] if given.resolution else []
    words += ["--split", given.split] if given.split != "auto" else []
    words += ["--patience", f"{given.patience:g}"]
    return "python -m benchmarks.gallery " + shlex.join(words + ["--quick"] * given.quick)


def _ask(text: str, given: argparse.Namespace) -> Ask:
    """NAME=PATH with what is alike for all data; raises ConfigError for what cannot be used."""
    name, equals, path = text.partition("=")
    if not equals or not path or not re.fullmatch(r"[\w.-]+", name):
        raise ConfigError(f"--data {text}: write NAME=PATH, where NAME has letters, digits, dots and hyphens only")
    parse_duration("--budget", given.budget)
    resolution = given.resolution or SMALL.get(path.partition("?")[0])
    ask = Ask(name, path, REAL, resolution, given.budget, None, given.n, given.split, given.seed, given.patience)
    return replace(ask, **QUICK) if given.quick else ask


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", metavar="NAME=PATH", help=f"may be repeated; by default {OPENMOJI}")
    parser.add_argument("--models", metavar="A,B,…", help="by default all that make images from noise alone")
    parser.add_argument("--budget", default="60s", help="training time of each, set-up left out")
    parser.add_argument("--resolution", type=int, help="pixels a side; by default the data's own, 32 for OpenMoji")
    parser.add_argument("-n", type=int, default=1_000, help="images on each side of the distance, at most")
    parser.add_argument("--split", default="auto", help="of the real side: train, val, test, or auto for one held out")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds of sampling, then it goes without FD")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="models trained at the same time; above 1 they share cores")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    parser.add_argument("--draw", action="store_true", help="train nothing; draw the page of what there is")
    parser.add_argument("--retry", action="store_true", help="try again what failed")
    parser.add_argument("--quick", action="store_true", help="a few steps each: shows that it works, and nothing else")
    return parser


if __name__ == "__main__":
    sys.exit(main())
