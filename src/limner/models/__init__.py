"""The catalogue: every model by name, imported only when it is used.

Adding a model takes one file and one line here. A model from outside the project takes no line: name it
`package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..config import from_dict
from ..data.config import DataConfig
from ..data.pairing import Pairing
from ..errors import ConfigError, unknown
from ..images.degrade import parse
from . import (
    autoregression_presets,
    codec_presets,
    diffusion_presets,
    floor_presets,
    gan_presets,
    normalizing_flow_presets,
    restoration_presets,
    style_presets,
    token_presets,
    tokenizer_presets,
    translation_presets,
    vae_presets,
)

if TYPE_CHECKING:
    from ..model import Model
    from ..types import DataSpec


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue: a class, the settings that make it this model, and what it is good for.

    overrides   settings of the model that differ from the class's
    reading     settings of the data that it is trained with unless the user says otherwise
    """

    name: str
    target: str  # "module:Class"
    summary: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> type[Model]:
        """The class; raises ConfigError when it cannot be imported or is not a model."""
        from ..model import Model

        module, _, name = self.target.partition(":")
        try:
            cls = getattr(import_module(module), name)
        except (ImportError, AttributeError, TypeError, ValueError) as error:  # the last two: no module, or ".x"
            raise ConfigError(f"cannot import model {self.target!r}: {error}") from error
        if not (isinstance(cls, type) and issubclass(cls, Model)):
            raise ConfigError(f"{self.target} is not a limner.model.Model")
        return cls


_Preset = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], Mapping[str, Any]]


def _entries(target: str, presets: Mapping[str, _Preset]) -> dict[str, Entry]:
    return {name: Entry(name, f"{__name__}.{target}", *preset) for name, preset in presets.items()}


_AUTOENCODERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ae": ("autoencoder: compresses images to a latent vector; samples from a density fitted to the latents", {}),
    "dae": ("denoising autoencoder: reconstructs clean images from noisy ones", {"noise": 0.3}),
}
_PRETRAINED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "diffusers": ("a diffusion model that was trained elsewhere, from a folder or hub id in diffusers format", {}),
}

CATALOGUE = (
    _entries("ae:Autoencoder", _AUTOENCODERS)
    | _entries("vae:VAE", vae_presets.PRESETS)
    | _entries("gan:GAN", gan_presets.PRESETS)
    | _entries("normalizing_flow:NormalizingFlow", normalizing_flow_presets.PRESETS)
    | _entries("gmm:GaussianMixture", floor_presets.GAUSSIANS)
    | _entries("bernoulli_mixture:BernoulliMixture", floor_presets.BERNOULLIS)
    | _entries("rbm:RBM", floor_presets.MACHINES)
    | _entries("made:MADE", autoregression_presets.MADES)
    | _entries("pixelcnn:PixelCNN", autoregression_presets.PIXELCNNS)
    | _entries("latent_autoencoder:LatentAutoencoder", tokenizer_presets.LATENTS)
    | _entries("tokenizer:Tokenizer", tokenizer_presets.GRIDS)
    | _entries("vqgan:VQGAN", tokenizer_presets.JUDGED)
    | _entries("scale_tokenizer:ScaleTokenizer", tokenizer_presets.SCALES)
    | _entries("token_lm:TokenLM", token_presets.ORDERED)
    | _entries("masked_tokens:MaskedTokens", token_presets.MASKED)
    | _entries("next_scale:NextScale", token_presets.SCALES)
    | _entries("diffusion:PixelDiffusion", diffusion_presets.PIXELS)
    | _entries("diffusion:Diffusion", diffusion_presets.LATENTS)
    | _entries("shortcut:Shortcut", diffusion_presets.SHORTCUTS)
    | _entries("consistency:Consistency", diffusion_presets.CONSISTENCY)
    | _entries("pretrained:Pretrained", _PRETRAINED)
    | _entries("restoration:Restorer", restoration_presets.RESTORERS)
    | _entries("pix2pix:Pix2Pix", translation_presets.PAIRED)
    | _entries("cyclegan:CycleGAN", translation_presets.BOTH_WAYS)
    | _entries("contrastive_translation:CUT", translation_presets.ONE_WAY)
    | _entries("stargan:StarGAN", translation_presets.ATTRIBUTES)
    | _entries("stylenet:StyleNet", style_presets.STYLES)
    | _entries("codec:Codec", codec_presets.CODECS)
)


def entry(name: str) -> Entry:
    """The catalogue's entry of that name, or one for `package.module:Class`; raises ConfigError for others."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    if ":" in name:
        return Entry(name, name, "a model from outside the catalogue")
    raise ConfigError(unknown("model", name, CATALOGUE))


def configure(name: str, values: Mapping[str, Any]) -> Any:
    """The config of model `name`: its class's defaults, the entry's, then `values`; names and types are checked."""
    found = entry(name)
    return from_dict(found.load().Config, {**found.overrides, **values}, where="model")


def reading(name: str, values: Mapping[str, Any]) -> DataConfig:
    """How the images for model `name` are read: as its entry says, then `values`; names and types are checked.

    A resolution replaces the entry's patches, and sources of the user's replace those that it would make.
    """
    defaults = dict(entry(name).reading)
    if values.get("resolution") is not None:
        defaults.pop("patch", None)
    if values.get("sources") is not None:
        for key in ("patch", "degrade"):
            defaults.pop(key, None)
    return from_dict(DataConfig, {**defaults, **values}, where="data")


def suited(name: str, data: DataSpec) -> DataSpec:
    """Images of that kind with sources such as model `name` is trained on by default."""
    chain, paired = entry(name).reading.get("degrade"), entry(name).reading.get("paired", True)
    if chain is not None:
        return Pairing(None, False, False, parse(chain)).spec(data)
    return data if paired else replace(data, source_channels=data.channels)


def build(name: str, config: Any, data: DataSpec) -> Model:
    """A new model with random weights; seed torch first, for the weights to be reproducible.

    Raises ConfigError for settings and data that it cannot be built with, such as sources that it would never see.
    """
    from ..model import Transforms

    model = entry(name).load()(config, data)
    if data.source_channels and not (isinstance(model, Transforms) and model.from_sources):
        made = f"degrade={data.degrade}" if data.degrade else "sources"
        raise ConfigError(
            f"{made} is for models that turn one picture into another, and {name} does not; leave it out, or train "
            f"for example srnet, denoiser, inpainter or pix2pix"
        )
    model.name = name  # type: ignore[misc]
    return model
