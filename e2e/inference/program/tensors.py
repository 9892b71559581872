"""Tensors of the Open Inference Protocol: a request's bytes in, arrays out, and back.

Reads and writes JSON tensors and those of the binary tensor data extension, in
which the raw values follow the JSON, little-endian and in row-major order.
Knows nothing of HTTP or OpenVINO. Whatever a client may have got wrong raises
Refused with a sentence.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

# The protocol's datatypes that numpy has, as they are on the wire.
DTYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{8 * n}": np.dtype(f"<u{n}") for n in (1, 2, 4, 8)},
    **{f"INT{8 * n}": np.dtype(f"<i{n}") for n in (1, 2, 4, 8)},
    **{f"FP{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
}
# So many bytes are room enough for a number in JSON, and for all that stands around the numbers.
JSON_NUMBER, JSON_REST = 32, 1 << 16


class Refused(ValueError):
    """A request that makes no sense; the text is a sentence for the client."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a model."""

    name: str
    datatype: str  # a key of DTYPES
    shape: tuple[int, ...]  # -1 where any number will do

    def metadata(self) -> dict[str, Any]:
        """Describe it as the protocol does."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Request:
    """A request for one inference."""

    id: str  # the client's own; may be empty
    inputs: dict[str, np.ndarray]  # all of the model's
    outputs: tuple[tuple[str, bool], ...]  # which are wanted, in order, and whether as binary data


def most_bytes(inputs: Sequence[Tensor]) -> int:
    """Say how large a request's body can be, for a model with static shapes."""
    return JSON_REST + sum(JSON_NUMBER * math.prod(t.shape) for t in inputs)


def decode(body: bytes, header_length: int | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Request:
    """Read a request for a model with these inputs and outputs.

    header_length is how many bytes of the body are JSON; None if all are.
    """
    if header_length is not None and header_length > len(body):
        raise Refused(f"Inference-Header-Content-Length is {header_length}, but the body has {len(body)} bytes")
    wanted = _json(body[:header_length])
    rest = memoryview(body)[len(body) if header_length is None else header_length:]
    arrays: dict[str, np.ndarray] = {}
    for i, given in enumerate(_list(wanted, "inputs", "the request")):
        where = f"inputs[{i}]"
        tensor = _find(given, where, inputs, "input")
        if tensor.name in arrays:
            raise Refused(f"input {tensor.name!r} is given twice")
        shape = _shape(given, where, tensor)
        if given.get("datatype") != tensor.datatype:
            raise Refused(f"input {tensor.name!r} has datatype {given.get('datatype')!r}, the model takes {tensor.datatype}")
        size = _parameters(given, where).get("binary_data_size")
        if size is None:
            arrays[tensor.name] = _from_json(given, tensor, shape)
            continue
        arrays[tensor.name], rest = _from_binary(rest, size, tensor, shape)
    if len(rest) > 0:
        raise Refused(f"{len(rest)} bytes follow the inputs' binary data: binary_data_size of the inputs must add up to what follows the JSON")
    missing = [t.name for t in inputs if t.name not in arrays]
    if missing:
        raise Refused(f"input {missing[0]!r} is missing: the model takes {_names(inputs)}")
    id_ = wanted.get("id", "")
    if not isinstance(id_, str):
        raise Refused("id is not a string")
    return Request(id_, arrays, _outputs(wanted, outputs))


def encode(request: Request, model: str, version: str, arrays: Mapping[str, np.ndarray], outputs: Sequence[Tensor]) -> tuple[bytes, int | None]:
    """Write the answer: its bytes, and how many of them are JSON unless all are."""
    datatypes = {t.name: t.datatype for t in outputs}
    described, data = [], []
    for name, binary in request.outputs:
        array = np.ascontiguousarray(arrays[name], dtype=DTYPES[datatypes[name]])
        one = {"name": name, "datatype": datatypes[name], "shape": list(array.shape)}
        if binary:
            data.append(array.tobytes())
            described.append(one | {"parameters": {"binary_data_size": array.nbytes}})
        else:
            described.append(one | {"data": array.ravel().tolist()})
    answer = {"model_name": model, "model_version": version, "outputs": described}
    if request.id:
        answer["id"] = request.id
    header = json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()
    return b"".join([header, *data]), len(header) if data else None


def _json(text: bytes) -> dict[str, Any]:
    def constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is not a number in JSON")

    try:
        value = json.loads(text, parse_constant=constant)
    except (ValueError, RecursionError) as err:
        raise Refused(f"the request is not JSON: {err or 'it is nested too deeply'}") from err
    if not isinstance(value, dict):
        raise Refused("the request is not a JSON object")
    return value


def _list(value: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    found = value.get(key)
    if not isinstance(found, list) or not all(isinstance(x, dict) for x in found):
        raise Refused(f"{where} needs {key}, a list of objects")
    return found


def _parameters(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = given.get("parameters", {})
    if not isinstance(found, dict):
        raise Refused(f"parameters of {where} is not an object")
    for word in ("shared_memory_region", "classification"):
        if word in found:
            raise Refused(f"this server does not have the extension of the parameter {word} of {where}")
    return found


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(t.name for t in tensors)


def _find(given: Mapping[str, Any], where: str, tensors: Sequence[Tensor], what: str) -> Tensor:
    found = next((t for t in tensors if t.name == given.get("name")), None)
    if found is None:
        raise Refused(f"{where}: the model has no {what} {given.get('name')!r}: it has {_names(tensors)}")
    return found


def _shape(given: Mapping[str, Any], where: str, tensor: Tensor) -> tuple[int, ...]:
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise Refused(f"{where} needs shape, a list of whole numbers")
    if len(shape) != len(tensor.shape) or any(want not in (-1, n) for n, want in zip(shape, tensor.shape)):
        raise Refused(f"input {tensor.name!r} has shape {shape}, the model takes {list(tensor.shape)}")
    return tuple(shape)


def _from_json(given: Mapping[str, Any], tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    data = given.get("data")
    if not isinstance(data, list):
        raise Refused(f"input {tensor.name!r} needs data, a list of numbers, or the parameter binary_data_size")
    try:
        values = np.asarray(data)
    except ValueError as err:  # lists of different lengths
        raise Refused(f"data of input {tensor.name!r} is neither flat nor nested as its shape says") from err
    if values.size != math.prod(shape) or values.ndim > 1 and values.shape != shape:
        raise Refused(f"data of input {tensor.name!r} has {values.size} numbers, shape {list(shape)} has {math.prod(shape)}")
    dtype = DTYPES[tensor.datatype]
    if values.dtype.kind not in ("b" if dtype.kind == "b" else "iuf"):
        raise Refused(f"data of input {tensor.name!r} is not all numbers of datatype {tensor.datatype}")
    with np.errstate(over="ignore", invalid="ignore"):
        array = values.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(array, values):
        raise Refused(f"data of input {tensor.name!r} has numbers that {tensor.datatype} cannot hold")
    return _finite(array.reshape(shape), tensor)


def _from_binary(rest: memoryview, size: Any, tensor: Tensor, shape: tuple[int, ...]) -> tuple[np.ndarray, memoryview]:
    dtype = DTYPES[tensor.datatype]
    if type(size) is not int or size != dtype.itemsize * math.prod(shape):
        raise Refused(f"binary_data_size of input {tensor.name!r} is {size!r}, its shape and datatype take {dtype.itemsize * math.prod(shape)}")
    if size > len(rest):
        raise Refused(f"input {tensor.name!r} has {size} bytes of binary data, but only {len(rest)} follow the JSON: say with Inference-Header-Content-Length where it ends")
    return _finite(np.frombuffer(rest[:size], dtype).reshape(shape), tensor), rest[size:]


def _finite(array: np.ndarray, tensor: Tensor) -> np.ndarray:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refused(f"input {tensor.name!r} has values that are no finite numbers of datatype {tensor.datatype}")
    return array


def _outputs(wanted: Mapping[str, Any], outputs: Sequence[Tensor]) -> tuple[tuple[str, bool], ...]:
    default = _parameters(wanted, "the request").get("binary_data_output", False)
    if not wanted.get("outputs"):
        return tuple((t.name, default is True) for t in outputs)
    found: dict[str, bool] = {}
    for i, given in enumerate(_list(wanted, "outputs", "the request")):
        where = f"outputs[{i}]"
        name = _find(given, where, outputs, "output").name
        if name in found:
            raise Refused(f"output {name!r} is asked for twice")
        found[name] = _parameters(given, where).get("binary_data", default) is True
    return tuple(found.items())
