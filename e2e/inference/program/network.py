"""A network on one of OpenVINO's devices: a model's file in, a compiled network out.

Says on the log which device it has, and when that is not the one it was told.
"""

import queue
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

import choice
import measure
from arguments import Arguments
from tensors import Tensor

HERE = Path(__file__).resolve().parent
# OpenVINO's names for datatypes, by the protocol's.
_TYPES = {
    "boolean": "BOOL", "f16": "FP16", "f32": "FP32", "f64": "FP64",
    **{f"{short}{bits}": f"{long}{bits}" for short, long in (("u", "UINT"), ("i", "INT")) for bits in (8, 16, 32, 64)},
}


class Network:
    """A compiled network, for as many threads at once as it has streams."""

    def __init__(self, compiled: ov.CompiledModel, streams: int) -> None:
        self.compiled = compiled
        self.inputs = tuple(_tensor(p) for p in compiled.inputs)
        self.outputs = tuple(_tensor(p) for p in compiled.outputs)
        self._idle: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def infer(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Infer once; waits for a stream. Raises ValueError on outputs that are no numbers."""
        request = self._idle.get()
        try:
            request.infer(dict(inputs))
            if not measure.finite(request):
                raise ValueError("the network's outputs are not all finite numbers")
            return {t.name: np.array(request.get_tensor(t.name).data) for t in self.outputs}
        finally:
            self._idle.put(request)


def _tensor(port: Any) -> Tensor:
    kind = port.element_type.get_type_name()
    if kind not in _TYPES:
        raise ValueError(f"{port.any_name} has OpenVINO's datatype {kind}, which the protocol does not have")
    shape = port.partial_shape
    return Tensor(port.any_name, _TYPES[kind], tuple(n.get_length() if n.is_static else -1 for n in shape))


def load(args: Arguments, model: Mapping[str, Any], threads: int, info: Callable[[str], None]) -> ov.CompiledModel:
    """Read a model and compile it for the device of the flag, or for what stands in for it.

    model is one of models.json. Raises RuntimeError when OpenVINO cannot.
    """
    core = ov.Core()
    core.set_property({"CACHE_DIR": ""})
    target, reason = choice.choose(args.device, core.available_devices)
    info(f"OpenVINO: {ov.get_version()}, devices {', '.join(core.available_devices)}")
    if reason:
        info(f"Instead of {args.device.flag} this runs on {target}: {reason}")
    network = core.read_model(HERE / "models" / Path(model["file"]).name)
    network.reshape(model["shape"])
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": args.streams} if target == "CPU" else {}
    compiled = core.compile_model(network, target, options)
    used = compiled.get_property("EXECUTION_DEVICES")
    info(f"Device used: {', '.join(used) if isinstance(used, (list, tuple)) else used}")
    info(f"Model: {args.model} ({model['about']}, {Path(model['file']).name})")
    info(f"Input: {network.input(0).any_name} {list(compiled.input(0).shape)} {compiled.input(0).element_type.get_type_name()}")
    info(f"Threads: {threads}, streams: {args.streams}")
    return compiled
