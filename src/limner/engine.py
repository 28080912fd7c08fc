"""What runs a network that is not trained any more: torch, or ONNX Runtime or OpenVINO, faster and 1e-5 off at most.

    engine        needs           bf16
    torch         nothing         yes, slow where the processor has no units for it
    onnxruntime   limner[fast]    no
    openvino      both extras     where the processor has units for it, else refused

benchmarks/features.py and benchmarks/diffusion.py measure them. `auto` is ONNX Runtime where it is installed, else
torch, by a fixed rule: chosen by stopwatch, one image would get other last digits on another day. An export takes 10 to
30 seconds, once: it is kept under <home>/engines.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from . import durable
from .data.cache import home
from .errors import BadCheckpoint, ConfigError, DiskError, require, unknown

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("fp32", "bf16")
FORMAT = 2  # raise it whenever an export would come out differently
_MODEL = "model.onnx"

Run = Callable[..., tuple[Tensor, ...]]  # tensors of one shape each, always -> float32 outputs


@dataclass(frozen=True)
class How:
    """How a network is run.

    tile   images it sees at once, always: products of other sizes round differently, and an image's features must not
           depend on which others it came with
    """

    engine: str = "auto"
    precision: str = "fp32"
    tile: int = 8

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ConfigError(unknown("engine", self.engine, ENGINES))
        if self.precision not in PRECISIONS:
            raise ConfigError(unknown("precision", self.precision, PRECISIONS))
        if self.engine == "onnxruntime" and self.precision != "fp32":
            raise ConfigError("precision=bf16 is not possible with engine=onnxruntime; use torch or openvino")

    @property
    def settled(self) -> str:
        """The engine that `auto` stands for."""
        if self.engine != "auto":
            return self.engine
        fast = all(find_spec(module) for module in ("onnx", "onnxscript", "onnxruntime"))
        return "onnxruntime" if fast and self.precision == "fp32" else "torch"


def compile_network(network: nn.Module, examples: Sequence[Tensor], how: How, *, key: str) -> Run:
    """A function that runs the network on tensors of the shapes of `examples`, on the CPU and without gradients.

    network   in inference mode; gives a tuple of float tensors with one row an image
    examples  one for each argument, with one row an image
    key       of its weights and its make: an export is kept under it

    Raises MissingExtra, and ConfigError where the processor cannot do what was asked for.
    """
    engine = how.settled
    if engine == "torch":
        return _torch(network, how.precision)
    if engine == "onnxruntime":
        return _onnxruntime(_exported(network, examples, key))
    return _openvino(_exported(network, examples, key), examples, how.precision)


def _torch(network: nn.Module, precision: str) -> Run:
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bf16":
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.to(torch.bfloat16)  # once, instead of at every call

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        given = (each.contiguous(memory_format=_layout(each)) for each in inputs)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return tuple(part.float() for part in network(*given))

    return run


def _layout(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.ndim == 4 else torch.contiguous_format


def _onnxruntime(model: Path | bytes) -> Run:
    require("onnxruntime", "fast")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        given = {name: each.contiguous().numpy() for name, each in zip(names, inputs, strict=True)}
        return tuple(torch.from_numpy(part) for part in session.run(None, given))

    return run


def _openvino(model: Path | bytes, examples: Sequence[Tensor], precision: str) -> Run:
    require("openvino", "openvino")
    import openvino

    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ConfigError("precision=bf16: this processor has no bf16 units, and OpenVINO would use fp32; ask for fp32")
    graph = core.read_model(model if isinstance(model, bytes) else str(model))
    graph.reshape({place: list(each.shape) for place, each in enumerate(examples)})
    hint = {"fp32": "f32", "bf16": "bf16"}[precision]
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(graph, "CPU", settings)

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        results = compiled([each.contiguous().numpy() for each in inputs])
        return tuple(torch.from_numpy(results[place].copy()) for place in range(len(compiled.outputs)))

    return run


def _exported(network: nn.Module, examples: Sequence[Tensor], key: str) -> Path | bytes:
    """The network as ONNX, from <home>/engines where it is; without a disk to keep it on, the bytes."""
    for module in ("onnx", "onnxscript"):
        require(module, "fast")
    shapes = [tuple(each.shape[1:]) for each in examples]
    about = (FORMAT, key, type(network).__qualname__, shapes, torch.__version__)
    folder = home() / "engines" / hashlib.sha256(repr(about).encode()).hexdigest()
    try:
        durable.verify(folder)
        return folder / _MODEL
    except BadCheckpoint:  # absent or damaged: made again
        pass
    model = _export(network, examples)
    try:
        durable.publish_folder(folder, {_MODEL: lambda: model}, about={"format": FORMAT})
    except DiskError:
        return model
    return folder / _MODEL


def _export(network: nn.Module, examples: Sequence[Tensor]) -> bytes:
    rows = torch.export.Dim("rows")
    with warnings.catch_warnings(), _quiet("torch.onnx"), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own, about its own parts
        program = torch.onnx.export(
            _InOrder(network),
            tuple(examples),
            dynamo=True,
            verbose=False,
            dynamic_shapes=(tuple({0: rows} for _ in examples),),
        )
    assert program is not None
    return program.model_proto.SerializeToString()


class _InOrder(nn.Module):
    """A network whose arguments have no names, so that an export's inputs are in their order."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.network(*inputs)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Without the log lines of a part that says on every export which packages it could have used."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
