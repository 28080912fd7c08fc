"""What flows through Limner: the description of a data set and a batch of it.

Shapes are written (B, C, H, W): batch, channels, height, width. At the borders images are uint8 (H, W, C); inside they
are float32 in [-1, 1]. One convention serves every task: `image` is what should come out, `source` is what goes in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

AttributeKind = Literal["categorical", "binary", "multilabel", "continuous"]


@dataclass(frozen=True)
class Attribute:
    """One column of the attribute table, and how it is laid out in the encoded vector.

    kind          encoded as                                width
    categorical   one-hot over `values`                     len(values)
    binary        -1 (the first value) or +1 (the second)   1
    multilabel    -1 or +1 for each of `values`             len(values)
    continuous    (x - mean) / std                          1

    A missing value is encoded as zeros, with `known` False.
    """

    name: str
    kind: AttributeKind
    values: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    @property
    def width(self) -> int:
        return len(self.values) if self.kind in ("categorical", "multilabel") else 1


@dataclass(frozen=True)
class DataSpec:
    """What a model must know of its data: the shape of an image and what it can be conditioned on."""

    channels: int
    height: int
    width: int
    classes: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    tokenizer: str = (
        ""  # vocabulary of the captions (nn/text/own.py), where a model reads them with an encoder of its own
    )
    source_channels: int = 0  # of what goes in, its maps among them; 0 for data that has nothing that goes in
    scale: int = 1  # sides of an image over those of its source
    maps: tuple[str, ...] = ()  # what the last channels of a source say: "noise" (its level), "hole"
    degrade: str = ""  # how the sources were made of the images, as images/degrade reads it

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.channels, self.height, self.width)

    @property
    def source_shape(self) -> tuple[int, int, int]:
        """(c, h, w) of what goes in."""
        return (self.source_channels, self.height // self.scale, self.width // self.scale)

    @property
    def given_channels(self) -> int:
        """Channels of what goes into a model that transforms: those of its sources, or of its images without any."""
        return self.source_channels or self.channels

    @property
    def attribute_width(self) -> int:
        """Length of the encoded attribute vector."""
        return sum(attribute.width for attribute in self.attributes)


@dataclass
class Condition:
    """What a picture should show.

    label        (B,)     int64 class index; -1 where unknown
    attributes   (B, A)   float32, encoded as described in Attribute; 0 where unknown
    known        (B, A)   bool, False where the attribute is missing
    text         B strings
    emphasis     B lists of (start, stop, weight): characters of the text that weigh more or less
    """

    label: Tensor | None = None
    attributes: Tensor | None = None
    known: Tensor | None = None
    text: list[str] | None = None
    emphasis: list[list[tuple[int, int, float]]] | None = None

    def rows(self, start: int, stop: int) -> Condition:
        """Rows start to stop of every part."""

        def cut(part):
            return None if part is None else part[start:stop]

        parts = (self.label, self.attributes, self.known, self.text, self.emphasis)
        return Condition(*map(cut, parts))

    def to(self, device: torch.device | str) -> Condition:
        """The same condition with its tensors on `device`."""

        def move(part):
            return None if part is None else part.to(device)

        return Condition(move(self.label), move(self.attributes), move(self.known), self.text, self.emphasis)


@dataclass
class Batch:
    """A batch as the models see it.

    image       (B, C, H, W)    float32 in [-1, 1]: what should come out
    condition                   class, attributes and text of each image
    source      (B, c, h, w)    float32 in [-1, 1] (noise may exceed that): what goes in, for image-to-image models
    code        (B, ...)        what the model made of each image before the run (model.Precomputes); None without
    """

    image: Tensor
    condition: Condition
    source: Tensor | None = None
    code: Tensor | None = None

    def __len__(self) -> int:
        return len(self.image)

    def rows(self, start: int, stop: int) -> Batch:
        """Rows start to stop of every part."""

        def cut(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[start:stop]

        condition = self.condition.rows(start, stop)
        return Batch(self.image[start:stop], condition, cut(self.source), cut(self.code))
