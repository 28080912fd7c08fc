"""How others compute features and distances, written from their descriptions: what benchmarks/features.py runs against.

eager       Inception-v3 as pytorch-fid and torch-fidelity run it: plain fp32 modules, channels first, each
            normalisation by itself
pillow      clean-fid's resize: each channel of each image by Pillow in floats, clipped
square_root pytorch-fid's distance, by SciPy's matrix square root of the product of the covariances
eigenvalues torch-fidelity's distance, by the eigenvalues of that product
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from limner.features.inception import EPSILON, Network
from limner.rng import generator

BATCH = 50  # images that pytorch-fid's network sees at once where nobody says otherwise


def random_weights(seed: int = 0) -> dict[str, Tensor]:
    """Weights of Inception-v3 under the published names, of a scale that features keep from layer to layer."""
    state = {}
    noise = generator(seed, "random inception")

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(noise.random(shape, np.float32) * np.float32(high - low) + np.float32(low))

    for name, layer in Network().named_modules():
        if isinstance(layer, nn.Conv2d):
            reach = float(np.sqrt(6 / layer.weight[0].numel()))  # Glorot's rule for a ReLU
            state[f"{name}.conv.weight"] = draw(-reach, reach, *layer.weight.shape)
            for part, (low, high) in {"weight": (0.8, 1.2), "running_var": (0.8, 1.2), "bias": (-0.1, 0.1)}.items():
                state[f"{name}.bn.{part}"] = draw(low, high, len(layer.weight))
            state[f"{name}.bn.running_mean"] = draw(-0.1, 0.1, len(layer.weight))
            state[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
    return state | {"fc.weight": draw(-0.05, 0.05, 1008, 2048), "fc.bias": draw(-1, 1, 1008)}


def eager(state: dict[str, Tensor]) -> nn.Module:
    """The network as it was trained: every convolution followed by its normalisation."""
    network = Network()
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d):
            parent, _, last = name.rpartition(".")
            setattr(network.get_submodule(parent), last, _normalised(layer, name, state))
    network.fc.load_state_dict({"weight": state["fc.weight"], "bias": state["fc.bias"]})
    return network.eval().requires_grad_(False)


def _normalised(layer: nn.Conv2d, name: str, state: dict[str, Tensor]) -> nn.Module:
    shape = (layer.in_channels, layer.out_channels)
    bare = nn.Conv2d(*shape, layer.kernel_size, layer.stride, layer.padding, bias=False)  # type: ignore[arg-type]
    bare.load_state_dict({"weight": state[f"{name}.conv.weight"]})
    norm = nn.BatchNorm2d(layer.out_channels, eps=EPSILON)
    prefix = f"{name}.bn."
    norm.load_state_dict({key.removeprefix(prefix): part for key, part in state.items() if key.startswith(prefix)})
    return nn.Sequential(bare, norm, nn.ReLU(inplace=True))


def pillow(images: np.ndarray, side: int) -> np.ndarray:
    """(B, H, W, 3) uint8 -> (B, side, side, 3) float32."""

    def plane(channel: np.ndarray) -> np.ndarray:
        resized = Image.fromarray(channel.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
        return np.asarray(resized).clip(0, 255)

    return np.stack([np.stack([plane(image[..., c]) for c in range(3)], axis=2) for image in images])


def square_root(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """The distance of two (mean, covariance)."""
    from scipy.linalg import sqrtm

    root = sqrtm(a[1] @ b[1])
    return _distance(a, b, float(np.trace(root.real)))


def eigenvalues(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """The distance of two (mean, covariance)."""
    values = np.linalg.eigvals(a[1] @ b[1])
    return _distance(a, b, float(np.sqrt(values.astype(complex)).real.sum()))


def _distance(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], trace: float) -> float:
    return float(((a[0] - b[0]) ** 2).sum() + np.trace(a[1]) + np.trace(b[1]) - 2 * trace)
