#!/usr/bin/python3.11
"""Infers with a real network on the OpenVINO device that a pod was given.

    inference -m face -d GPU -t 10

A device that OpenVINO does not have here is stood in for by the CPU, and the
log says so. Exits with 0 when it measured something, also when SIGTERM ended
it; with 2 when the command line makes no sense; with 1 when inferring failed.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import arguments
import choice
import container

HERE = Path(__file__).resolve().parent


def info(text: str) -> None:
    """Write a line of the log at once."""
    print(f"[ INFO ] {text}", flush=True)


def main() -> int:
    """Run the program; return its exit code."""
    began = time.monotonic()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    models = json.loads((HERE / "models.json").read_text())
    args = arguments.parse(sys.argv, {name: m["inference"] for name, m in models.items()})
    model = models[args.model]
    threads = args.threads or container.threads()
    info(f"Device flag: -d {args.device.flag}")
    info(f"HETEROACCEL_DEVICE: {os.environ.get('HETEROACCEL_DEVICE') or 'not set'}")
    info(f"Variables of accelerators: {' '.join(container.variables(os.environ)) or 'none'}")
    info(f"Device nodes: {' '.join(container.device_nodes()) or 'none'}")
    info(f"Images: made up{', in place of ' + args.source if args.source else ''}")

    # Imported only now: it takes longer than all of the above.
    import measure
    import openvino as ov

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


if __name__ == "__main__":
    try:
        code = main()
    except (OSError, RuntimeError, ValueError) as err:
        lines = str(err).strip().splitlines() or [type(err).__name__]
        print(f"[ ERROR ] Inferring failed: {' '.join(lines)}", file=sys.stderr, flush=True)
        code = 1
    sys.exit(code)
