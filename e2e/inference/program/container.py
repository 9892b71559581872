"""What the container was given: environment, device nodes, CPUs.

Reads the files below a root directory and the environment; changes nothing.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path

# Where kernels and device plugins put accelerators' device nodes.
NODES = ("dev/dri/*", "dev/accel/*", "dev/dfl-*", "dev/intel-fpga-*", "dev/bus/usb/*/*", "dev/nvidia*", "dev/hddl*", "dev/ion")
# Prefixes of the variables that device plugins set.
VARIABLES = ("HETEROACCEL_", "ACCELERATOR_", "FPGA_", "GPU_", "NPU_")


def variables(environment: Mapping[str, str]) -> list[str]:
    """List the variables that tell of accelerators, as NAME=VALUE in order."""
    return [f"{n}={v}" for n, v in sorted(environment.items()) if n.startswith(VARIABLES)]


def device_nodes(root: Path = Path("/")) -> list[str]:
    """List the accelerators' device nodes in order, without directories."""
    found = {p for pattern in NODES for p in root.glob(pattern) if not p.is_dir()}
    return sorted("/" + str(p.relative_to(root)) for p in found)


def _quota(root: Path) -> float | None:
    """Read the CPU limit in CPUs from cgroup v2, else v1; None without one."""
    try:
        limit, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    for group in ("cpu", "cpu,cpuacct"):
        directory = root / "sys/fs/cgroup" / group
        try:
            limit_us = int((directory / "cpu.cfs_quota_us").read_text())
            period_us = int((directory / "cpu.cfs_period_us").read_text())
        except (OSError, ValueError):
            continue
        return limit_us / period_us if limit_us > 0 and period_us > 0 else None
    return None


def threads(root: Path = Path("/"), cpus: int | None = None) -> int:
    """Say how many threads have a CPU each: the limit rounded up, at least 1.

    cpus is how many CPUs the process may run on; asked of the kernel if None.
    """
    cpus = cpus or len(os.sched_getaffinity(0))
    quota = _quota(root)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))
