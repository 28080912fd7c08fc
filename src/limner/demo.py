"""The demonstration: `python -m limner.demo` trains three models on OpenMoji in a few minutes and makes a page of it.

It uses nothing but the public Python interface, so it is also the longest example of that interface.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import limner

from .data import Dataset
from .durable import write_file
from .errors import ConfigError
from .images.grid import grid
from .images.metadata import encode_png
from .training import log
from .training.folder import RunFolder
from .training.plan import parse_duration
from .training.show import TerminalShow

DATA = "builtin:openmoji"
READING = {"resolution": 32, "channels": 3, "flip": True}
SHARES = {"vae": 0.15, "gan": 0.3, "text-flow": 0.55}  # of the time
# the data is little: augmentation keeps the discriminator from learning it by heart, and without classes the generator
# keeps its variety (docs/log.md)
SETTINGS: dict[str, dict[str, Any]] = {
    "vae": {},
    "gan": {"augment": ("translation", "cutout"), "conditional": "none"},
    "text-flow": {"conditional": "none", "first_config": {"latent": 8}},
}
# the first three are captions of the data; nothing in it is like the others
DESCRIPTIONS = ("red apple", "grinning cat", "green heart", "a blue apple", "a purple cat", "a pink flag")
GUIDANCE = 3.0


@dataclass(frozen=True)
class Figure:
    """One picture of the page."""

    title: str
    text: str
    file: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m limner.demo", description=__doc__)
    parser.add_argument("--out", default="demo", help="folder to write; an interrupted demonstration is gone on with")
    parser.add_argument("--budget", default="7m", help="training time in all, for example 90s or 7m")
    given = parser.parse_args(arguments)
    try:
        page = run(Path(given.out), parse_duration("budget", given.budget))
    except limner.LimnerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"\nOpen {page}")
    return 0


def run(out: Path, seconds: float) -> Path:
    """Train all models for `seconds` in all and write the pictures and index.html; returns the page's path."""
    if (out / "index.html").exists():
        raise ConfigError(f"{out} holds an earlier demonstration; remove it or choose another --out")
    started = time.monotonic()
    data = limner.open_data(DATA, _reading())
    print(f"{len(data):,} pictures of OpenMoji, {data.spec.height}×{data.spec.width}")
    vae, gan, text = (_train(name, out, seconds * share) for name, share in SHARES.items())
    figures = [_data(data, out), *_over_time(gan, out), *_gan_figures(gan, out), *_vae_figures(vae, data, out)]
    figures += _text_figures(text, out)
    gan.sample(16, seed=0).save(out / "samples")
    page = _page(figures, [vae, gan, text], seconds=time.monotonic() - started, attribution=data.report.attribution)
    write_file(out / "index.html", page.encode())
    return out / "index.html"


def _reading():
    from .config import from_dict
    from .data import DataConfig

    return from_dict(DataConfig, READING)


def _train(model: str, out: Path, seconds: float) -> limner.Trained:
    run = out / "runs" / model
    if RunFolder(run).is_run:  # an interrupted demonstration goes on where it stood
        return limner.resume(run, show=TerminalShow())
    return limner.train(
        model,
        DATA,
        out=run,
        config=SETTINGS[model],
        data_config=READING,
        budget=f"{seconds:.0f}s",
        preview_every=f"{max(2.0, seconds / 12):.0f}s",
        show=TerminalShow(),
    )


# --- figures --------------------------------------------------------------------------------------------------------


def _save(out: Path, name: str, images: np.ndarray, *, columns: int, scale: int = 2) -> str:
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / f"{name}.png", encode_png(grid(images, columns=columns, scale=scale)))
    return f"{name}.png"


def _data(data: Dataset, out: Path) -> Figure:
    rows = np.linspace(0, len(data) - 1, 48).astype(int)
    file = _save(out, "data", data.images[rows], columns=12)
    return Figure("The data", f"48 of the {len(data):,} pictures that the models learn from.", file)


def _over_time(gan: limner.Trained, out: Path) -> list[Figure]:
    """The run's own previews, from the first to the last."""
    assert gan.run is not None
    previews = sorted(gan.run.previews.glob("*.png"))
    chosen = [previews[place] for place in sorted({0, len(previews) // 6, len(previews) // 2, len(previews) - 1})]
    figures = []
    for place, path in enumerate(chosen):
        write_file(out / f"time-{place}.png", path.read_bytes())
        text = f"step {int(path.stem):,}, the same noise each time"
        figures.append(Figure(f"Samples over time, {place + 1} of {len(chosen)}", text, f"time-{place}.png"))
    return figures


def _gan_figures(gan: limner.Trained, out: Path) -> list[Figure]:
    return [
        Figure(
            "New pictures",
            "From the GAN, not chosen: pictures 0 to 63 of seed 0.",
            _save(out, "gan-samples", gan.sample(64, seed=0).images, columns=16),
        ),
        Figure(
            "From one picture to another",
            "Walking through the GAN's latent space between four random pictures.",
            _save(out, "gan-interpolation", gan.interpolate(n=4, steps=5, seed=4).images, columns=16),
        ),
    ]


def _vae_figures(vae: limner.Trained, data: Dataset, out: Path) -> list[Figure]:
    images = data.images[np.linspace(0, len(data) - 1, 12).astype(int)]
    pairs = np.concatenate([images, vae.reconstruct(images).images])
    ends = images[[1, 4, 7, 10]]
    return [
        Figure(
            "Reconstructions",
            "Above, pictures of the data; below, what the autoencoder keeps of them.",
            _save(out, "vae-reconstructions", pairs, columns=12),
        ),
        Figure(
            "Between pictures of the data",
            "The autoencoder encodes four pictures, and decodes the way between them.",
            _save(out, "vae-interpolation", vae.interpolate(images=ends, steps=5).images, columns=16),
        ),
    ]


def _text_figures(model: limner.Trained, out: Path) -> list[Figure]:
    """Eight pictures for each description, not chosen."""
    return [
        Figure(
            text,
            f"“{text}”",
            _save(
                out,
                f"text-{place}",
                model.sample(8, seed=0, text=text, guidance=GUIDANCE).images,
                columns=8,
            ),
        )
        for place, text in enumerate(DESCRIPTIONS)
    ]


# --- the page -------------------------------------------------------------------------------------------------------

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
h1 { font-weight: 650; margin-bottom: 0 } h2 { margin: 2.5rem 0 .2rem; font-size: 1.15rem } p { margin: .2rem 0 .8rem }
img { max-width: 100%; image-rendering: pixelated; border-radius: 6px; border: 1px solid #ddd }
.time { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem }
pre { background: #f4f4f2; padding: 1rem; border-radius: 6px; overflow-x: auto } svg { width: 100%; height: auto }
small, .muted { color: #666 }
"""


def _page(figures: list[Figure], models: list[limner.Trained], *, seconds: float, attribution: str) -> str:
    over_time = [figure for figure in figures if figure.file.startswith("time-")]
    described = [figure for figure in figures if figure.file.startswith("text-")]
    others = [figure for figure in figures if figure not in over_time and figure not in described]
    sections = [
        _section(others[0]),
        f'<h2>Learning</h2><div class="time">{_strips(over_time)}</div>',
        *map(_section, others[1:]),
        "<h2>Text to image</h2><p>Pictures 0 to 7 of seed 0 for each description, not chosen. The first three are "
        "captions that the model was trained on; the others are not.</p>"
        f'<div class="time">{_strips(described)}</div>',
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Limner demonstration</title><style>{_STYLE}</style>"
        f'<h1>Limner</h1><p class="muted">Three image generators, trained on this machine in '
        f"{seconds / 60:.1f} minutes.</p>"
        + "".join(sections)
        + "".join(map(_curves, models))
        + f"<h2>Next</h2><pre>{escape(_next_commands(*models[1:]))}</pre><small>{escape(attribution)}</small></html>"
    )


def _strips(figures: list[Figure]) -> str:
    """Pictures side by side, each with its text below."""
    return "".join(
        f'<div><img src="{figure.file}" alt="{escape(figure.text)}"><br><small>{escape(figure.text)}</small></div>'
        for figure in figures
    )


def _section(figure: Figure) -> str:
    picture = f'<img src="{figure.file}" alt="{escape(figure.title)}">'
    return f"<h2>{escape(figure.title)}</h2><p>{escape(figure.text)}</p>{picture}"


def _curves(model: limner.Trained) -> str:
    """The losses of a run over its steps, each scaled to its own range."""
    assert model.run is not None
    lines = log.read(model.run.log)
    names = [name for name in dict.fromkeys(key for line in lines for key in line) if name.endswith("/loss")]
    colours = ("#2563a8", "#c2571a", "#3b7d3b")
    curves = "".join(_curve(lines, name, colour) for name, colour in zip(names, colours, strict=False))
    legend = ", ".join(
        f'<span style="color:{colour}">{escape(name.removesuffix("/loss"))}</span>'
        for name, colour in zip(names, colours, strict=False)
    )
    title = f"<h2>Losses of {escape(model.name)}</h2><p>{legend}; {lines[-1]['step']:,} steps</p>" if lines else ""
    return f'{title}<svg viewBox="0 0 800 160" role="img">{curves}</svg>'


def _curve(lines: list[dict], name: str, colour: str) -> str:
    points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    if len(points) < 2:
        return ""
    steps, values = np.array(points, dtype=float).T
    low, high = np.quantile(values, [0.01, 0.99])
    x = 800 * steps / steps[-1]
    y = 150 - 140 * np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _next_commands(gan: limner.Trained, text: limner.Trained) -> str:
    assert isinstance(gan.run, RunFolder) and isinstance(text.run, RunFolder)
    return (
        f"limner sample {text.run.path} --text 'a red apple' --set guidance=3   # pictures of what you say\n"
        f"limner sample {gan.run.path} -n 64 --seed 1 --grid more.png      # more pictures\n"
        f"limner evaluate {gan.run.path}                                   # how good they are, and why to believe it\n"
        "limner train gan path/to/your/images --resolution 64 --budget 30m   # your own"
    )


if __name__ == "__main__":
    sys.exit(main())
