"""A diffusion model's backbone run by another engine than torch, for sampling on a CPU (engine.py says by which).

What was compiled is kept beside the backbone, as long as that lives and its weights are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..engine import How, Run, compile_network
from ..errors import ConfigError
from ..nn.text.encoder import LONGEST

_State = tuple[tuple[int, int], ...]  # where each weight lies, and how often it was written
_KEPT: WeakKeyDictionary[nn.Module, tuple[_State, dict[tuple[object, ...], Run]]] = WeakKeyDictionary()


class Compiled:
    """Called as the backbone is, it gives the same, to the engine's precision.

    about   what the backbone was built from beside its weights: an export is kept under both
    """

    def __init__(self, backbone: nn.Module, how: How, about: str) -> None:
        self.backbone, self.how, self.about = backbone, how, about
        state = tuple((each.data_ptr(), each._version) for each in backbone.parameters())
        if backbone not in _KEPT or _KEPT[backbone][0] != state:
            _KEPT[backbone] = (state, {})
        self._runs = _KEPT[backbone][1]

    def __call__(
        self, x: Tensor, levels: Sequence[Tensor], condition: Tensor, text: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Slow at the first call. Raises ConfigError on an accelerator, and where gradients are asked for."""
        if x.device.type != "cpu":
            raise ConfigError(
                f"engine={self.how.engine} runs on the CPU, and this model is on {x.device}; use engine=torch"
            )
        if torch.is_grad_enabled() and x.requires_grad:
            raise ConfigError(f"engine={self.how.engine} gives no gradients, which are needed here; use engine=torch")
        inputs = [x, *levels, *([condition] if condition.shape[1] else []), *(_padded(*text) if text else ())]
        key = (self.how, *(tuple(each.shape) for each in inputs))
        if key not in self._runs:
            network = _Unpacked(self.backbone, len(levels), told=bool(condition.shape[1]))
            self._runs[key] = compile_network(
                network.eval(), inputs, self.how, key=f"{_digest(self.backbone)} {self.about}"
            )
        return self._runs[key](*inputs)[0]


class _Unpacked(nn.Module):
    """A backbone whose arguments are tensors alone, those it does not have left out."""

    def __init__(self, backbone: nn.Module, levels: int, *, told: bool) -> None:
        super().__init__()
        self.backbone, self.levels, self.told = backbone, levels, told

    def forward(self, x: Tensor, *inputs: Tensor) -> tuple[Tensor]:
        levels, rest = inputs[: self.levels], inputs[self.levels :]
        condition, text = (rest[0], rest[1:]) if self.told else (x.new_zeros(len(x), 0), rest)
        return (self.backbone(x, levels, condition, (text[0], text[1]) if text else None).float(),)


def _padded(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A text of always the same length, for which one compilation does."""
    more = max(0, LONGEST - tokens.shape[1])
    return F.pad(tokens, (0, 0, 0, more)), F.pad(mask, (0, more))


def _digest(backbone: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
