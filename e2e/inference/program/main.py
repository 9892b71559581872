#!/usr/bin/python3.11
"""Infers with a real network on the OpenVINO device that a pod was given.

    inference -m face -d GPU -t 10
    inference -m face -d GPU --port 8080

The first measures on made-up images. The second serves the Open Inference
Protocol, version 2, over HTTP. A device that OpenVINO does not have here is
stood in for by the CPU, and the log says so.

Exits with 0 when it measured something or served, also when SIGTERM ended it;
with 2 when the command line makes no sense; with 1 when inferring failed.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import arguments
import container

HERE = Path(__file__).resolve().parent


def info(text: str) -> None:
    """Write a line of the log at once."""
    print(f"[ INFO ] {text}", flush=True)


def main() -> int:
    """Run the program; return its exit code."""
    models = json.loads((HERE / "models.json").read_text())
    args = arguments.parse(sys.argv, {name: m["inference"] for name, m in models.items()})
    threads = args.threads or container.threads()
    info(f"Device flag: -d {args.device.flag}")
    info(f"HETEROACCEL_DEVICE: {os.environ.get('HETEROACCEL_DEVICE') or 'not set'}")
    info(f"Variables of accelerators: {' '.join(container.variables(os.environ)) or 'none'}")
    info(f"Device nodes: {' '.join(container.device_nodes()) or 'none'}")
    return (run if args.port is None else serve)(args, models[args.model], threads)


def run(args: arguments.Arguments, model: Mapping[str, Any], threads: int) -> int:
    """Measure on made-up images."""
    began = time.monotonic()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    info(f"Images: made up{', in place of ' + args.source if args.source else ''}")

    # Imported only now: it takes longer than all of the above.
    import measure
    import network

    compiled = network.load(args, model, threads, info)
    inputs = measure.images(model["shape"])
    first = measure.warm_up(compiled, inputs[0])
    info(f"First inference took {first:.2f} ms, {time.monotonic() - began:.2f} s after the start")
    result = measure.run(compiled, inputs, args.streams, args.seconds, args.iterations, stop)
    if stop.is_set():
        info("Told to end: this is what was measured so far")
    if not result.latencies_ms:
        info("Count:               0 iterations")
        return 0
    for line in result.lines():
        info(line)
    return 0


def serve(args: arguments.Arguments, model: Mapping[str, Any], threads: int) -> int:
    """Serve the images of requests."""
    import api
    import serve as http

    def load():
        # Imported only now, so that the server is live meanwhile.
        import measure
        import network

        compiled = network.load(args, model, threads, info)
        first = measure.warm_up(compiled, measure.images(model["shape"])[0])
        info(f"First inference took {first:.2f} ms")
        return network.Network(compiled, args.streams)

    assert args.port is not None
    if not http.run(api.Api(model["inference"], args.streams, args.body_seconds), args.port, load, info):
        os._exit(0)  # OpenVINO is still compiling, in a thread that nothing can end
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except (OSError, RuntimeError, ValueError) as err:
        lines = str(err).strip().splitlines() or [type(err).__name__]
        print(f"[ ERROR ] Inferring failed: {' '.join(lines)}", file=sys.stderr, flush=True)
        code = 1
    sys.exit(code)
