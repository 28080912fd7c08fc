"""Engines: each gives what torch gives, and an export is made once."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limner import engine, errors
from limner.engine import How, compile_network
from limner.errors import ConfigError, MissingExtra
from limner.rng import generator


class Tiny(nn.Module):
    """(B, 3, H, W), (B, 5) -> (B, 8), (B, 5): big enough for an export, small enough for a test."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.filter, self.told, self.classify = nn.Conv2d(3, 8, 3, 2, 1), nn.Linear(5, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        pooled = torch.relu(self.filter(x / 255)).mean((2, 3)) + self.told(told)
        return pooled, self.classify(pooled)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path))
    return tmp_path / "cache" / "engines"


@pytest.fixture(scope="module")
def exported():
    """The tiny network as ONNX, made once for all tests."""
    return engine._export(Tiny().eval(), GIVEN)


def inputs(rows):
    """What the network takes, for that many images."""
    noise = generator(0, "test inputs", rows)
    images = noise.integers(0, 256, (rows, 3, 12, 12)).astype(np.float32)
    return torch.from_numpy(images), torch.from_numpy(noise.standard_normal((rows, 5), np.float32))


GIVEN = inputs(4)


def compiled(how):
    return compile_network(Tiny().eval(), GIVEN, how, key="tiny")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_other_engines_agree_with_torch_to_1e_5(name, home, exported, monkeypatch):
    monkeypatch.setattr(engine, "_export", lambda network, examples: exported)
    expected, found = compiled(How("torch"))(*GIVEN), compiled(How(name))(*GIVEN)
    assert len(found) == 2
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32 and (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_an_export_takes_batches_of_any_size(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported)
    names = [each.name for each in session.get_inputs()]
    for rows in (1, 3, 8):
        given = inputs(rows)
        pooled, _ = session.run(None, dict(zip(names, (each.numpy() for each in given), strict=True)))
        assert np.allclose(pooled, Tiny()(*given)[0].detach().numpy(), atol=1e-5)


def test_an_export_is_made_once_and_again_when_it_is_damaged(home, exported, monkeypatch):
    made = []
    monkeypatch.setattr(engine, "_export", lambda network, examples: made.append(1) or exported)
    for _ in range(2):
        compiled(How("onnxruntime"))
    assert len(made) == 1
    (model,) = home.glob("*/model.onnx")
    model.write_bytes(model.read_bytes()[:-1])
    expected = compiled(How("torch"))(*GIVEN)[0]
    assert torch.allclose(compiled(How("onnxruntime"))(*GIVEN)[0], expected, atol=1e-5) and len(made) == 2
    compile_network(Tiny(), GIVEN, How("onnxruntime"), key="other weights")
    assert len(made) == 3


def test_without_a_disk_to_keep_it_on_the_export_still_runs(tmp_path, exported, monkeypatch):
    (tmp_path / "cache").write_bytes(b"in the way")
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path))
    monkeypatch.setattr(engine, "_export", lambda network, examples: exported)
    for name in ("onnxruntime", "openvino"):
        assert torch.allclose(compiled(How(name))(*GIVEN)[0], compiled(How("torch"))(*GIVEN)[0], atol=1e-5)


def test_bf16_in_torch_errs_by_less_than_two_percent():
    exact, rough = compiled(How("torch"))(*GIVEN), compiled(How("torch", "bf16"))(*GIVEN)
    for ours, theirs in zip(rough, exact, strict=True):
        assert ours.dtype == torch.float32 and 0 < (ours - theirs).norm() / theirs.norm() < 0.02


def test_bf16_is_refused_where_the_processor_would_use_fp32_for_it(home, exported, monkeypatch):
    import openvino

    monkeypatch.setattr(engine, "_export", lambda network, examples: exported)
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert (compiled(How("openvino", "bf16"))(*GIVEN)[0] - compiled(How("torch"))(*GIVEN)[0]).abs().max() > 0
    else:
        with pytest.raises(ConfigError, match="no bf16 units"):
            compiled(How("openvino", "bf16"))


def test_auto_is_onnxruntime_where_it_is_installed(monkeypatch):
    assert How().settled == "onnxruntime"
    assert How(precision="bf16").settled == "torch"
    assert How("openvino").settled == "openvino"
    monkeypatch.setattr(engine, "find_spec", lambda module: None)
    assert How().settled == "torch"


@pytest.mark.parametrize(("name", "lost", "extra"), [
    ("onnxruntime", "onnxruntime", "fast"),
    ("onnxruntime", "onnxscript", "fast"),
    ("openvino", "onnx", "fast"),
    ("openvino", "openvino", "openvino"),
])  # fmt: skip
def test_a_missing_package_names_its_extra(name, lost, extra, home, exported, monkeypatch):
    def require(module, wanted):
        if module == lost:
            raise MissingExtra(f"limner[{wanted}]")
        errors.require(module, wanted)

    monkeypatch.setattr(engine, "require", require)
    monkeypatch.setattr(engine, "_export", lambda network, examples: exported)
    with pytest.raises(MissingExtra, match=rf"limner\[{extra}\]"):
        compiled(How(name))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "onnx"}, "did you mean onnxruntime"),
        ({"precision": "bf-16"}, "did you mean bf16"),
        ({"engine": "onnxruntime", "precision": "bf16"}, "not possible with engine=onnxruntime"),
    ],
)
def test_settings_that_do_not_exist_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        How(**settings)
