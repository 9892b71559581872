"""What the program is told on its command line: strings in, an Arguments out.

It never looks at the machine: whether a device is there is another question
than whether it is a device's name.
"""

import argparse
import os
import re
from dataclasses import dataclass
from typing import NoReturn

# Names that OpenVINO has or had for devices, also those whose plugins are gone.
PLAIN = ("CPU", "GPU", "NPU", "MYRIAD", "FPGA", "VPU", "VPUX", "HDDL", "KEEMBAY", "GNA", "NVIDIA", "TEMPLATE")
# Names that stand before a list of those.
COMBINED = ("AUTO", "MULTI", "HETERO", "BATCH")
_PLAIN = re.compile(rf"({'|'.join(PLAIN)})(\.[\w.-]+)?(\([^()\s]+\))?", re.ASCII)
MOST_SECONDS = 24 * 3600
MOST_STREAMS = 64


@dataclass(frozen=True)
class Device:
    """A device flag: as it was given, and taken apart."""

    flag: str
    scheme: str  # AUTO, MULTI, HETERO, BATCH or empty
    parts: tuple[str, ...]  # the devices it names, without a batch size; may be empty after AUTO


@dataclass(frozen=True)
class Arguments:
    """A command line that makes sense."""

    model: str  # a key of the models
    device: Device
    seconds: float | None  # how long to infer
    iterations: int | None  # how often to infer
    streams: int
    threads: int | None  # None: what the container's CPU limit allows
    source: str  # where the images would come from
    port: int | None  # serve on it; None: measure
    body_seconds: float  # how long a client may take to send a request's body


def parse_device(flag: str) -> Device:
    """Take a device flag apart. Raises ValueError with a sentence."""
    scheme, colon, rest = flag.partition(":")
    if scheme not in COMBINED:
        scheme, colon, rest = "", "", flag
    if scheme in ("AUTO", "MULTI") and not colon:
        return Device(flag, scheme, ())
    # A minus before a device keeps AUTO from taking it.
    words = [w for w in rest.split(",") if not (scheme == "AUTO" and w.startswith("-"))]
    parts = []
    for word in words:
        match = _PLAIN.fullmatch(word)
        if not match:
            raise ValueError(
                f"-d {flag!r} is not an OpenVINO device: give one of {', '.join(PLAIN[:5])}, "
                "or AUTO:, MULTI:, HETERO: or BATCH: with a list of them, such as HETERO:FPGA,CPU"
            )
        parts.append(match.group(1) + (match.group(2) or ""))
    return Device(flag, scheme, tuple(parts))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"[ ERROR ] {message[:1].upper()}{message[1:]}; -h shows the flags\n")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 and up to {MOST_SECONDS}")
    return value


def _count(most: int, least: int = 1):
    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"\d{1,12}", text, re.ASCII) else -1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return value

    return parse


def _device(text: str) -> Device:
    try:
        return parse_device(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def parse(argv: list[str], models: dict[str, str]) -> Arguments:
    """Read a command line; argv[0] is the program's own name.

    models maps a model's name to that of its inference. Called by the name of
    an inference ("face_recognition") the program knows its model. Prints a
    sentence and exits with 2 on anything that makes no sense.
    """
    called = os.path.basename(argv[0]).replace("_", "-")
    default = next((m for m, inference in models.items() if inference == called), None)
    parser = _Parser(
        prog=os.path.basename(argv[0]), allow_abbrev=False,
        description="Infers with a real network: on the images of requests with --port, else on made-up images, and prints throughput and latency.",
    )
    parser.add_argument("-m", metavar="MODEL", default=default, help=f"the model: {', '.join(models)}, or the name of its inference")
    parser.add_argument("-d", "--target_device", metavar="DEVICE", type=_device, default="CPU", help="the OpenVINO device, CPU unless given")
    parser.add_argument("-t", metavar="SECONDS", type=_seconds, help="how long to infer, 10 unless this or -niter is given")
    parser.add_argument("-niter", metavar="N", type=_count(10**9), help="how often to infer")
    parser.add_argument("-nstreams", metavar="N", type=_count(MOST_STREAMS), default=1, help="how many inferences at once, 1 unless given")
    parser.add_argument("-nthreads", metavar="N", type=_count(1024), help="how many threads, as many as the container's CPU limit allows unless given")
    parser.add_argument("--port", metavar="PORT", type=_count(65535, 0), help="serve the Open Inference Protocol on this port, 0 for any, instead of measuring")
    parser.add_argument("--body-timeout", metavar="SECONDS", type=_seconds, default=30.0, help="how long a client may take to send a request's body, 30 unless given")
    parser.add_argument("-i", metavar="SOURCE", default="", help="the camera; its images are made up")
    got = parser.parse_args(argv[1:])
    by_inference = {inference: m for m, inference in models.items()}
    model = by_inference.get(got.m, got.m)
    if model is None:
        parser.error(f"no model is given: give -m with one of {', '.join(models)}")
    if model not in models:
        parser.error(f"there is no model {got.m!r}: give -m with one of {', '.join(models)}")
    if got.port is not None and (got.t is not None or got.niter is not None):
        parser.error("--port serves until the program is told to end: leave out -t and -niter, or --port")
    seconds = got.t if got.t is not None or got.niter is not None else 10.0
    return Arguments(model, got.target_device, seconds, got.niter, got.nstreams, got.nthreads, got.i, got.port, got.body_timeout)
