#!/usr/bin/python3.11
"""Sends a picture to inference servers and prints what they found in it.

    client face-recognition=10.244.1.7:8080 text-recognition=10.244.2.4:8080
    client --request face-recognition=10.244.1.7:8080

The second prints instead the request for the picture, as JSON for other clients
to send. The requests are tritonclient's. Each server gets its picture twice, with JSON
tensors and with binary ones, and another picture that has nothing for it.
Prints one JSON object a line for each; exits with 1 when a request failed, or
when the two answers of a picture are not the same.
"""

import json
import sys
import time
from dataclasses import asdict

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

import pictures


def infer(client: triton.InferenceServerClient, model: str, metadata: dict, array: np.ndarray, binary: bool) -> list[np.ndarray]:
    """Infer once; the outputs are in the model's order."""
    spec = metadata["inputs"][0]
    tensor = triton.InferInput(spec["name"], list(array.shape), spec["datatype"])
    tensor.set_data_from_numpy(array.astype(triton_to_np_dtype(spec["datatype"])), binary_data=binary)
    names = [o["name"] for o in metadata["outputs"]]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    answer = client.infer(model, [tensor], outputs=wanted, request_id=f"{model}-{binary}")
    assert answer.get_response()["id"] == f"{model}-{binary}", "the answer is to another request"
    return [answer.as_numpy(name) for name in names]


def request(inference: str, address: str) -> str:
    """Write the request for an inference's picture, with JSON tensors."""
    task = pictures.TASKS[inference]
    with triton.InferenceServerClient(url=address, connection_timeout=10, network_timeout=30) as client:
        metadata = client.get_model_metadata(inference)
    spec = metadata["inputs"][0]
    tensor = triton.InferInput(spec["name"], spec["shape"], spec["datatype"])
    tensor.set_data_from_numpy(task.picture(pictures.load(task.shows), spec["shape"]), binary_data=False)
    body, header_length = triton.InferenceServerClient.generate_request_body(
        [tensor], outputs=[triton.InferRequestedOutput(o["name"], binary_data=False) for o in metadata["outputs"]])
    return body[:header_length].decode()


def ask(inference: str, address: str) -> dict:
    """Ask a server about its two pictures."""
    task = pictures.TASKS[inference]
    with triton.InferenceServerClient(url=address, connection_timeout=10, network_timeout=30) as client:
        said = {
            "inference": inference, "address": address,
            "live": client.is_server_live(), "ready": client.is_server_ready(), "modelReady": client.is_model_ready(inference),
            "extensions": client.get_server_metadata()["extensions"],
        }
        metadata = client.get_model_metadata(inference)
        shape = metadata["inputs"][0]["shape"]
        array = task.picture(pictures.load(task.shows), shape)
        outputs, milliseconds = {}, {}
        for name, binary in (("json", False), ("binary", True)):
            begin = time.perf_counter()
            outputs[name] = infer(client, inference, metadata, array, binary)
            milliseconds[name] = round((time.perf_counter() - begin) * 1000, 1)
        for a, b in zip(outputs["json"], outputs["binary"], strict=True):
            if a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, rtol=1e-5, atol=1e-5):
                raise ValueError(f"{inference}: the answer in JSON is another than the binary one")
        other = infer(client, inference, metadata, task.picture(pictures.load(task.other), shape), True)
    return said | {
        "input": metadata["inputs"][0], "picture": task.shows, "finding": asdict(task.finding(outputs["binary"])),
        "other": task.other, "otherFinding": asdict(task.finding(other)), "milliseconds": milliseconds,
    }


def main() -> int:
    """Ask every server of the command line; return the exit code."""
    requests = sys.argv[1:2] == ["--request"]
    for argument in sys.argv[1 + requests:]:
        inference, _, address = argument.partition("=")
        if inference not in pictures.TASKS or not address:
            print(f"{argument}: give INFERENCE=HOST:PORT, with one of {', '.join(pictures.TASKS)}", file=sys.stderr)
            return 2
        try:
            print(request(inference, address) if requests else json.dumps(ask(inference, address)), flush=True)
        except (InferenceServerException, OSError, ValueError) as err:
            print(f"{inference} at {address}: {err}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
