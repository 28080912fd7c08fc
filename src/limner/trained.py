"""What a trained model does: pictures made, edited, restored and mixed, with what it takes to make them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import __version__, bundle
from .errors import ConfigError
from .images.grid import from_uint8, to_uint8
from .made import Pictures, Recipe
from .model import Completes, Denoises, Encodes, Redraws, Transforms
from .prompts import Expanded
from .tasks import complete, conditions, edit, exchange, generate, interpolate, reconstruct, restore, solve, translate
from .tasks.apply import How
from .training.folder import RunFolder
from .types import Condition, DataSpec


class Trained:
    """A model ready to use. Its network is `network`; everything here returns finished pictures."""

    def __init__(self, loaded: bundle.Bundle, run: RunFolder | None = None, *, weights: str | None = None) -> None:
        self._loaded, self.run, self._weights = loaded, run, weights
        self.network, self.about, self.sha256 = loaded.model, loaded.about, loaded.sha256

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def identity(self) -> str:
        """Which model it is, as a word: the digest of its folder, and which of its weights, if not those it chose."""
        return self.sha256 if self._weights is None else f"{self.sha256}:{self._weights}"

    @property
    def loaded(self) -> bundle.Bundle:
        """The network with what else its folder holds."""
        return self._loaded

    @property
    def data(self) -> DataSpec:
        return self.network.data

    def sample(
        self,
        n: int = 1,
        *,
        seed: int = 0,
        first: int = 0,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        text: str | Expanded | None = None,
        guide: Trained | None = None,
        **options: Any,
    ) -> Pictures:
        """Pictures first … first + n - 1 of `seed`; picture k is the same however many are made with it.

        text      what the pictures shall show, for models that read; "a (red:1.4) apple" stresses red; or what
                  `limner.expand_prompt` made of it, which is recorded
        guide     a weaker model of the same kind, such as an earlier checkpoint: `guidance` pushes away from it
        options   the model's own (temperature, truncation, density …; see `limner models NAME`)
        """
        asked: dict[str, Any] = {"label": label, "attributes": attributes, "text": text, "guide": guide}
        parts = [*self.stream(n, seed=seed, first=first, **asked, **options)]
        return Pictures(np.concatenate([part.images for part in parts]), sum((part.settings for part in parts), ()))

    def stream(
        self,
        n: int,
        *,
        seed: int = 0,
        first: int = 0,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        text: str | Expanded | None = None,
        guide: Trained | None = None,
        **options: Any,
    ) -> Iterator[Pictures]:
        """As `sample`, a few pictures at a time, in bounded memory."""
        if n < 1 or first < 0:
            raise ConfigError(f"n={n}, first={first}: give n of at least 1 and first of at least 0")
        chosen = generate.options_of(self.network, options, guided=guide is not None)
        told = text.text if isinstance(text, Expanded) else text
        tiles = generate.generate_tiles(
            self.network,
            range(first, first + n),
            seed=seed,
            bank=self._loaded.bank,
            label=label,
            attributes=attributes,
            text=told,
            options=chosen,
            guide=None if guide is None else guide.network,
        )
        asked: dict[str, Any] = {"label": label, "attributes": dict(attributes) if attributes else None, "text": told}
        asked["expanded"] = {"asked": text.asked, "by": text.by} if isinstance(text, Expanded) else None
        asked["guide"] = None if guide is None else guide.identity
        common: dict[str, Any] = asked | {"weights": self._weights, "options": asdict(chosen)}
        for indices, images in tiles:
            settings = tuple(self._setting(index, seed, common) for index in indices)
            yield Pictures(to_uint8(images.numpy()), settings)

    def remake(self, recipe: Recipe, *, guide: Trained | None = None) -> Pictures:
        """The picture of a recipe, bit-equal on the same device; raises ConfigError when another model made it."""
        if recipe.guide != (None if guide is None else guide.identity):
            raise ConfigError(f"the picture was made with the guide {_short(recipe.guide)}; give the same")
        if recipe.model_sha256 != self.sha256:
            raise ConfigError(
                f"the picture was made by {recipe.model} {recipe.model_sha256[:10]}, "
                f"but this is {self.name} {self.sha256[:10]}; load the model that made it"
            )
        if recipe.weights != self._weights:
            raise ConfigError(
                f"the picture was made with weights={recipe.weights or 'as chosen'}, and this model was loaded with "
                f"weights={self._weights or 'as chosen'}; load it with the same"
            )
        asked = {"label": recipe.label, "attributes": recipe.attributes, "text": recipe.text, "guide": guide}
        return self.sample(seed=recipe.seed, first=recipe.index, **asked, **recipe.options)  # type: ignore[arg-type]

    def reconstruct(self, images: np.ndarray, condition: Condition | None = None) -> Pictures:
        """(N, H, W, C) uint8 of the model's shape -> the same pictures as the model remembers them."""
        rebuilt = reconstruct.reconstruct(self.network, self._tensor(images), condition or Condition())
        return Pictures(
            to_uint8(rebuilt.numpy()), tuple({"index": k, "task": "reconstruct"} for k in range(len(images)))
        )

    def restore(
        self,
        picture: np.ndarray,
        *,
        level: float | None = None,
        mask: np.ndarray | None = None,
        tile: int = 256,
        ensemble: bool = False,
        half: bool = False,
    ) -> np.ndarray:
        """(h, w, 1 | 3 | 4) uint8 of any size -> the same enlarged, cleaned, filled: what the model was trained for.

        level      deviation of the noise, 0 to 255, for models that are told it; estimated unless given
        mask       (h, w) bool, True in the hole, for models that fill holes
        tile       pixels: the picture is taken in tiles of this side, without seams; 0 takes it at once
        ensemble   the mean over eight turned and mirrored pictures: better by about a tenth of a decibel, eight times
                   the work
        half       compute in bf16, faster where the processor has units for it; docs/restoration.md has the cost
        Raises NotAble for a model that transforms nothing, ConfigError for a picture or mask that does not fit.
        """
        return restore.restore(self.network, picture, restore.Told(level, mask), How(tile, ensemble, half))

    def solve(
        self,
        images: np.ndarray,
        kind: str,
        *,
        seed: int = 0,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        text: str | None = None,
        **options: Any,
    ) -> Pictures:
        """Pictures of the model's kind that would become `images` if degraded, by diffusion models of pixels.

        images   (N, h, w, c) uint8: smaller, gray or blurred, as `kind` says
        kind     upscale:2, colorize or deblur:1.5; nothing is trained for it
        seed     another seed gives other guesses
        """
        chosen = generate.options_of(generate.need(self.network, Denoises), options)
        told = edit.described(self.network, len(images), label=label, attributes=attributes, text=text)
        sources = torch.from_numpy(from_uint8(images))
        made = solve.solve(self.network, sources, kind, told, seed=seed, options=chosen)
        asked = {"kind": kind, "label": label, "attributes": attributes, "text": text, "options": asdict(chosen)}
        return self._edited(made, "solve", seed, asked)

    def canvas(
        self,
        height: int,
        width: int,
        *,
        wrap: bool = False,
        seed: int = 0,
        label: str | int | None = None,
        text: str | None = None,
        **options: Any,
    ) -> np.ndarray:
        """(height, width, C) uint8: one picture larger than the model's own, by diffusion models of pixels.

        wrap   whether its ends meet, as those of a texture that is laid side by side with itself
        """
        chosen = generate.options_of(generate.need(self.network, Denoises), options)
        told = edit.described(self.network, 1, label=label, text=text)
        made = solve.canvas(self.network, height, width, told, wrap=wrap, seed=seed, options=chosen)
        return to_uint8(made.numpy())[0]

    def mix(self, images: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
        """(N, H, W, C) uint8 -> (H, W, C) uint8: one picture between them all, by models that encode.

        weights   how much of each; evenly by default
        """
        shares = np.full(len(images), 1.0) if weights is None else np.asarray(weights, float)
        if len(shares) != len(images) or not np.isfinite(shares).all() or shares.sum() <= 0:
            raise ConfigError(f"weights {weights} for {len(images)} images; give one for each, with a sum above 0")
        generate.need(self.network, Encodes)
        latent = reconstruct.encode(self.network, self._tensor(images), Condition())
        share = torch.from_numpy(shares / shares.sum()).to(latent).view(-1, *[1] * (latent.ndim - 1))
        made = reconstruct.decode(self.network, (latent * share).sum(0, keepdim=True), Condition())
        return to_uint8(made.numpy())[0]

    def translate(
        self,
        images: np.ndarray,
        *,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        back: bool = False,
        degrade: bool = False,
        seed: int = 0,
    ) -> Pictures:
        """(N, H, W, c) uint8 of the model's size -> pictures of the kind that it makes.

        label, attributes   what they should show, for models that are told
        back                the other direction, of models that have one
        degrade             the images are what should come out: sources are made of them first, as in training
        """
        if degrade:
            images = translate.as_trained(generate.need(self.network, Transforms), images, seed=seed)
        channels = self.data.channels if back else self.data.given_channels
        told = edit.described(self.network, len(images), label=label, attributes=attributes)
        made = translate.translate(self.network, self._tensor(images, channels), told, back=back)
        return self._edited(made, "translate", seed, {"label": label, "attributes": attributes, "back": back})

    def edit(
        self,
        images: np.ndarray,
        *,
        strength: float = 0.6,
        seed: int = 0,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        text: str | None = None,
        **options: Any,
    ) -> Pictures:
        """(N, H, W, C) uint8 of the model's shape -> a variation of each, by models that denoise.

        strength   in (0, 1]: near 0 keeps a picture, 1 forgets it
        seed       picture k of another seed is another variation of image k
        What is not asked for is left open.
        """
        given, asked = self._tensor(images), {"label": label, "attributes": attributes, "text": text}
        chosen, told = self._settled(generate.need(self.network, Denoises), len(given), asked, options)
        made = edit.variations(self.network, given, told, strength=strength, seed=seed, options=chosen)
        return self._edited(made, "edit", seed, asked | {"strength": strength, "options": asdict(chosen)})

    def inpaint(
        self,
        images: np.ndarray,
        masks: np.ndarray,
        *,
        seed: int = 0,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        text: str | None = None,
        **options: Any,
    ) -> Pictures:
        """(N, H, W, C) uint8 -> the same with their holes filled; the rest stays bit-equal.

        masks   (N, H, W) bool: True in the hole; or uint8, where 128 and above is
        By models that denoise, and by language models of tokens, of which those that draw in order know only what
        lies before a hole; `masked-tokens` sees all around it.
        """
        given, asked = self._tensor(images), {"label": label, "attributes": attributes, "text": text}
        holes = torch.from_numpy(masks >= 128 if masks.dtype == np.uint8 else masks.astype(bool))[:, None]
        fill = complete.redraw if isinstance(self.network, Redraws) else edit.inpaint
        able = generate.need(self.network, Redraws if isinstance(self.network, Redraws) else Denoises)
        chosen, told = self._settled(able, len(given), asked, options)
        made = fill(self.network, given, holes, told, seed=seed, options=chosen)
        return self._edited(made, "inpaint", seed, asked | {"options": asdict(chosen)})

    def complete(
        self,
        images: np.ndarray,
        rows: int | None = None,
        *,
        seed: int = 0,
        label: str | int | None = None,
        attributes: Mapping[str, conditions.Asked] | None = None,
        text: str | None = None,
        **options: Any,
    ) -> Pictures:
        """(N, H, W, C) uint8 -> the same with all below their first `rows` rows drawn anew, by autoregressive models.

        rows   what is kept, bit-equal; None for the upper half
        Raises NotAble, and ConfigError for rows that the model cannot start from (its squares or tokens are whole).
        """
        rows = self.data.height // 2 if rows is None else rows
        given, asked = self._tensor(images), {"label": label, "attributes": attributes, "text": text}
        chosen, told = self._settled(generate.need(self.network, Completes), len(given), asked, options)
        made = complete.complete(self.network, given, rows, told, seed=seed, options=chosen)
        return self._edited(made, "complete", seed, asked | {"rows": rows, "options": asdict(chosen)})

    def harmonise(
        self,
        images: np.ndarray,
        masks: np.ndarray,
        *,
        strength: float = 0.3,
        seed: int = 0,
        label: str | int | None = None,
        text: str | None = None,
        **options: Any,
    ) -> Pictures:
        """(N, H, W, C) uint8 with something pasted in -> the pasted part drawn again to fit, by models that denoise.

        masks      (N, H, W) bool: True where something was pasted; the rest stays bit-equal
        strength   in (0, 1]: near 0 keeps the paste, 1 draws it anew
        """
        pasted = torch.from_numpy(masks >= 128 if masks.dtype == np.uint8 else masks.astype(bool))[:, None]
        chosen = generate.options_of(generate.need(self.network, Denoises), options)
        told = edit.described(self.network, len(images), label=label, text=text)
        settings: dict[str, Any] = {"strength": strength, "seed": seed, "options": chosen}
        made = edit.harmonised(self.network, self._tensor(images), pasted, told, **settings)
        asked = {"label": label, "text": text, "strength": strength, "options": asdict(chosen)}
        return self._edited(made, "harmonise", seed, asked)

    def compose(
        self,
        descriptions: Sequence[Mapping[str, Any]],
        n: int = 1,
        *,
        weights: Sequence[float | np.ndarray] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Pictures:
        """`n` pictures that obey several descriptions at once, by models that denoise.

        descriptions   of each, what `sample` takes: {"label": …, "attributes": {…}, "text": …}
        weights        for each a number (1 unless given), or an (H, W) map of 0 to 1: the region that it describes
        """
        chosen = generate.options_of(generate.need(self.network, Denoises), options)
        told = [edit.described(self.network, 1, **asked) for asked in descriptions]
        shares = None
        if weights is not None:
            shares = [torch.from_numpy(one) if isinstance(one, np.ndarray) else float(one) for one in weights]
        made = edit.compose(self.network, told, range(n), weights=shares, seed=seed, options=chosen)
        words = ["region" if isinstance(one, Tensor) else one for one in shares or [1.0] * len(told)]
        parts = [dict(asked) for asked in descriptions]
        settings = {"descriptions": parts, "weights": words, "options": asdict(chosen)}
        return self._edited(made, "compose", seed, settings)

    def interpolate(
        self, *, seed: int = 0, n: int = 2, steps: int = 8, images: np.ndarray | None = None, **options: Any
    ) -> Pictures:
        """Pictures on the way through `n` samples of `seed`, or through `images` (N, H, W, C) uint8."""
        latent, condition = self._latents(n, seed, images, options)
        path = interpolate.interpolate(self.network, latent, condition, steps=steps)
        settings = {"task": "interpolate", "seed": seed, "steps": steps, "model_sha256": self.sha256}
        return Pictures(to_uint8(path.numpy()), tuple({"index": k, **settings} for k in range(len(path))))

    def traverse(
        self,
        *,
        seed: int = 0,
        dimensions: Sequence[int] | None = None,
        limit: float = 3.0,
        steps: int = 9,
        images: np.ndarray | None = None,
        **options: Any,
    ) -> Pictures:
        """One latent with each of `dimensions` moved from -limit to limit: one row of `steps` pictures for each."""
        if steps < 2:
            raise ConfigError(f"steps={steps} is below 2, which a traversal needs")
        latent, condition = self._latents(1, seed, images, options)
        chosen = list(dimensions) if dimensions is not None else list(range(min(10, latent[0].numel())))
        values = np.linspace(-limit, limit, steps).tolist()
        rows = interpolate.traverse(self.network, latent[:1], condition, dimensions=chosen, values=values)
        settings = [
            {"index": row * steps + column, "task": "traverse", "seed": seed, "dimension": dimension, "value": value}
            for row, dimension in enumerate(chosen)
            for column, value in enumerate(values)
        ]
        return Pictures(to_uint8(rows.flatten(0, 1).numpy()), tuple(settings))

    def save(self, folder: str | Path, *, captions: bool = True) -> None:
        """Write the model folder: what another machine needs to load it, and nothing else.

        captions   whether those training captions go along that pictures are drawn from when no text is given
        """
        loaded = self._loaded
        bundle.save(loaded if captions else replace(loaded, bank=replace(loaded.bank, text=None)), Path(folder))

    def export(self, folder: str | Path) -> Path:
        """Write the model in the layout of diffusers; raises NotAble for one that has no counterpart there."""
        return exchange.export(self.network, Path(folder))

    def _settled(
        self, able: Any, rows: int, asked: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[Any, Condition]:
        """The options of sampling, and what `rows` pictures should show; raises ConfigError for what it cannot heed."""
        return generate.options_of(able, options), edit.described(self.network, rows, **asked)

    def _edited(self, made: Tensor, task: str, seed: int, common: Mapping[str, Any]) -> Pictures:
        """Finished pictures of a task, each with what it was made by."""
        settings = tuple(self._setting(index, seed, {"task": task, **common}) for index in range(len(made)))
        return Pictures(to_uint8(made.numpy()), settings)

    def _latents(
        self, n: int, seed: int, images: np.ndarray | None, options: Mapping[str, Any]
    ) -> tuple[Tensor, Condition]:
        if images is not None:
            generate.need(self.network, Encodes)
            return reconstruct.encode(self.network, self._tensor(images), Condition()), Condition()
        chosen = generate.options_of(self.network, options)
        return generate.latents(self.network, range(n), seed=seed, bank=self._loaded.bank, options=chosen)

    def _tensor(self, images: np.ndarray, channels: int | None = None) -> Tensor:
        _, height, width = self.data.shape
        channels = self.data.channels if channels is None else channels
        if images.shape[1:] != (height, width, channels) or images.dtype != np.uint8:
            raise ConfigError(
                f"images are {images.shape[1:]} {images.dtype}; this model takes ({height}, {width}, {channels}) uint8"
            )
        return torch.from_numpy(from_uint8(images))

    def _setting(self, index: int, seed: int, common: Mapping[str, Any]) -> dict[str, Any]:
        identity = {
            "index": index,
            "seed": seed,
            "model": self.name,
            "model_sha256": self.sha256,
            "limner": __version__,
        }
        return identity | {key: value for key, value in common.items() if value is not None}


def _short(identity: str | None) -> str:
    """The first of a digest, and the weights behind it."""
    digest, colon, weights = (identity or "none").partition(":")
    return digest[:10] + colon + weights
