"""Infers over and over and keeps the times: a compiled model in, numbers out."""

import statistics
import threading
import time
from dataclasses import dataclass

import numpy as np
import openvino as ov

# So many made-up images take turns.
IMAGES = 4


@dataclass(frozen=True)
class Result:
    """What was measured."""

    seconds: float  # from the first start to the last end
    latencies_ms: list[float]  # one for each inference

    def lines(self) -> list[str]:
        """Say it as OpenVINO's benchmark_app does; needs at least one inference."""
        ms = self.latencies_ms
        return [
            f"Count:               {len(ms)} iterations",
            f"Duration:            {self.seconds * 1000:.2f} ms",
            "Latency:",
            f"   Median:           {statistics.median(ms):.2f} ms",
            f"   Average:          {statistics.fmean(ms):.2f} ms",
            f"   Min:              {min(ms):.2f} ms",
            f"   Max:              {max(ms):.2f} ms",
            f"Throughput:          {len(ms) / self.seconds:.2f} FPS",
        ]


def images(shape: list[int]) -> list[np.ndarray]:
    """Make images of a shape, float32 in [0, 1), the same each time."""
    random = np.random.default_rng(1)
    return [random.random(shape, dtype=np.float32) for _ in range(IMAGES)]


def finite(request: ov.InferRequest) -> bool:
    """Say whether all outputs of a finished request are numbers."""
    return all(bool(np.isfinite(t.data).all()) for t in request.output_tensors)


def warm_up(model: ov.CompiledModel, image: np.ndarray) -> float:
    """Infer once and return the milliseconds. Raises ValueError on outputs that are no numbers."""
    request = model.create_infer_request()
    start = time.perf_counter()
    request.infer([image])
    took = (time.perf_counter() - start) * 1000
    if not finite(request):
        raise ValueError("the network's outputs are not all finite numbers")
    return took


def run(model: ov.CompiledModel, inputs: list[np.ndarray], streams: int, seconds: float | None,
        iterations: int | None, stop: threading.Event) -> Result:
    """Infer until the time is up, the iterations are done or stop is set.

    So many inferences as there are streams are under way at once. Those under
    way at the end are waited for. Raises ValueError on outputs that are no
    numbers, looked at once more at the end.
    """
    # Not an AsyncInferQueue: with a callback of Python's it can lock up when it
    # is taken down.
    requests = [model.create_infer_request() for _ in range(streams)]
    latencies: list[float] = []

    def finish(request: ov.InferRequest) -> None:
        request.wait()
        latencies.append(request.latency)

    start = time.perf_counter()
    started = 0
    while not stop.is_set():
        if seconds is not None and time.perf_counter() - start >= seconds:
            break
        if iterations is not None and started >= iterations:
            break
        request = requests[started % streams]  # the one that was started first
        if started >= streams:
            finish(request)
        request.start_async([inputs[started % len(inputs)]])
        started += 1
    for i in range(min(started, streams)):
        finish(requests[(started - min(started, streams) + i) % streams])
    took = time.perf_counter() - start
    if started and not finite(requests[(started - 1) % streams]):
        raise ValueError("the network's outputs are not all finite numbers")
    return Result(took, latencies)
