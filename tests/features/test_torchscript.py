"""TorchScript files of others: features, or features and logits, whatever is inside."""

import numpy as np
import pytest
import torch
from counting_cases import pictures
from feature_cases import Tiny

from limner import features
from limner.engine import How
from limner.errors import ConfigError, ModelError
from limner.features.torchscript import TorchScript


def script(path, network):
    """Writes a network as a TorchScript file."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network.eval(), torch.zeros(2, 3, 16, 16), check_trace=False), str(path))
    return path


class Single(Tiny):
    def forward(self, x):
        return super().forward(x)[0][..., None, None]  # (B, D, 1, 1), as many give it


def test_features_and_logits_are_those_of_the_file(tmp_path):
    path = script(tmp_path / "mine.pt", Tiny())
    extractor = features.load(str(path))
    images = pictures(5, 16, 16, 3)
    pooled, logits = Tiny()(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    found = extractor(images)
    assert np.allclose(found.pooled, pooled.detach().numpy(), atol=1e-5)
    assert np.allclose(found.logits, logits.detach().numpy(), atol=1e-5)
    assert (extractor.dimension, extractor.classes, extractor.resize) == (8, 5, "none")
    assert extractor.name == f"mine-{extractor.sha256[:8]}"


def test_a_file_may_give_features_alone_and_pictures_may_be_resized_for_it(tmp_path):
    extractor = TorchScript(script(tmp_path / "mine.ts", Single()), side=20)
    assert extractor(pictures(3, 9, 30, 1)).pooled.shape == (3, 8)
    assert extractor.classes == 0 and extractor.resize == "squash to 20×20, antialiased bicubic"


def test_features_do_not_depend_on_the_batch(tmp_path):
    extractor = TorchScript(script(tmp_path / "mine.pt", Tiny()))
    images = pictures(11, 16, 16, 3)
    together = extractor(images).pooled
    alone = np.concatenate([extractor(images[row : row + 1]).pooled for row in range(11)])
    assert np.abs(together - alone).max() < 1e-6


class Odd(torch.nn.Module):
    def forward(self, x):
        return x.sum(0)


class Narrow(torch.nn.Module):
    def forward(self, x):
        return x.view(2, 16 * 16 * 3)


@pytest.mark.parametrize(("network", "said"), [(Odd(), "for 2 images"), (Narrow(), "does not take")])
def test_a_network_that_gives_no_rows_of_features_is_refused(tmp_path, network, said):
    with pytest.raises(ModelError, match=said):
        TorchScript(script(tmp_path / "odd.pt", network))


def test_another_file_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("no network")
    for name in ("state.pt", "text.pt"):
        with pytest.raises(ModelError, match="is not a TorchScript file"):
            features.load(str(tmp_path / name))
    with pytest.raises(ConfigError, match="No such file"):
        features.load(str(tmp_path / "none.pt"))


def test_it_runs_in_torch_alone(tmp_path):
    with pytest.raises(ConfigError, match="runs in torch alone"):
        TorchScript(tmp_path / "mine.pt", how=How("onnxruntime"))
