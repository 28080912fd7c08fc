"""What `load` makes of a name, and what it says to one that is none."""

import numpy as np
import pytest
import torch
from counting_cases import pictures

from limner import features
from limner.errors import ConfigError
from limner.features import lite0, selftrained
from limner.features.extractor import Extractor


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lite", "did you mean lite0"),
        ("Lite0", "did you mean lite0"),
        ("inceptoin", "did you mean inception"),
        ("inception-v3", "did you mean inception"),
        ("weights.onnx", "known: hf:, inception, inception-clean"),
        ("", "known"),
        ("hf:", "did you mean hf:"),
    ],
)
def test_a_name_that_is_none_gets_the_nearest(name, said):
    with pytest.raises(ConfigError, match=said):
        features.load(name)


def test_settings_reach_the_extractor():
    extractor = features.load("lite0", precision="bf16", engine="torch")
    assert isinstance(extractor, lite0.Lite0) and extractor.precision == "bf16"
    assert extractor.how.engine == "torch"
    with pytest.raises(ConfigError, match="unknown precision"):
        features.load("lite0", precision="fp8")


def test_features_of_ones_own_network_are_found_by_its_folder(tmp_path):
    torch.manual_seed(0)  # a network is made here; what it holds does not matter
    plan = selftrained.Plan(1, 8, 8, seen=(8, 8), layers=((4, 2), (6, 2)), classes=3)
    selftrained.save(selftrained.SelfTrained.of(selftrained.PlainNetwork(plan)), tmp_path / "mine")
    extractor = features.load(f"self:{tmp_path / 'mine'}")
    assert isinstance(extractor, Extractor) and extractor.name.startswith("Self-")
    assert np.isfinite(extractor(pictures(2, 8, 8, 1)).pooled).all()
    with pytest.raises(ConfigError, match="it is fp32 in torch"):
        features.load(f"self:{tmp_path / 'mine'}", precision="bf16")


def test_importing_features_does_not_import_torch():
    import subprocess
    import sys

    code = "import sys, limner.features; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
