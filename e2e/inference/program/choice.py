"""Which of OpenVINO's devices serves a device flag: a pure decision."""

from collections.abc import Sequence

from arguments import Device


def _is(available: str, wanted: str) -> bool:
    """Say whether a device of OpenVINO's ("GPU.0") is one that is wanted ("GPU")."""
    return available == wanted or available.startswith(wanted + ".") or available + ".0" == wanted


def choose(device: Device, available: Sequence[str]) -> tuple[str, str]:
    """Return what to compile the model for, and why it is not the flag.

    The flag itself if all its devices are available, with an empty reason;
    else those of them that are; else the CPU, which always is.
    """
    missing = [p for p in device.parts if not any(_is(a, p) for a in available)]
    if not missing:
        return device.flag, ""
    verb = "is" if len(missing) == 1 else "are"
    reason = f"{' and '.join(missing)} {verb} not available to OpenVINO here, which has {', '.join(available)}"
    present = [p for p in device.parts if p not in missing]
    if not present:
        return "CPU", reason
    if len(present) == 1 and device.scheme != "BATCH":
        return present[0], reason
    return f"{device.scheme}:{','.join(present)}", reason
