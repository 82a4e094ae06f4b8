"""Doctor: what computes here: GPUs, cores, threads, memory."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from study.cores import usable_cores
from study.doctor.base import Finding, Patient, fail, ok, size, warn

_LITTLE_MEMORY = 2e9  # bytes: torch, Ray and MLflow take about one before the first trial
_THREADS = "OMP_NUM_THREADS"


def check_devices(_: Patient) -> Iterator[Finding]:
    """GPUs that torch finds; one small matrix product on each."""
    import torch

    if not torch.cuda.is_available():
        why = "" if torch.version.cuda is None else f"torch is built for CUDA {torch.version.cuda}, but finds none"
        if why and Path("/dev/nvidia0").exists():
            yield warn("devices", f"CPU only: {why}", "repair the driver: `nvidia-smi` shows its version")
        else:
            yield ok("devices", "CPU only")
        return
    for number in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(number)
        try:
            free, total = torch.cuda.mem_get_info(number)
            one = torch.ones(64, 64, device=f"cuda:{number}")
            if float((one @ one).sum()) == 64.0**3:
                yield ok(f"cuda:{number}", f"{name}, {size(free)} of {size(total)} free")
            else:
                yield fail(f"cuda:{number}", f"{name}: computes wrongly", "use another, or hide it from torch")
        except RuntimeError as error:
            yield fail(f"cuda:{number}", f"{name}: {str(error).splitlines()[0]}", "free it, or hide it from torch")


def check_cores(_: Patient) -> Iterator[Finding]:
    """Cores that this process may use, and threads: a trial takes one of each."""
    cores = usable_cores()
    everything = os.cpu_count() or cores
    quota = _cpu_quota()
    note = f"{cores} of {everything}" if cores < everything else str(cores)
    if quota is not None and quota < cores:
        yield warn(
            "cores",
            f"{note}, but the container may use {quota:g} at a time",
            f"set concurrency to {max(1, int(quota))}: more trials at once would only slow each other down",
        )
    else:
        yield ok("cores", f"{note}: as many trials at a time, one thread each")
    given = os.environ.get(_THREADS)
    if given and given.isdecimal() and int(given) > cores:
        yield warn("threads", f"{_THREADS}={given}", f"unset {_THREADS}: more threads than cores are many times slower")
    busy = os.getloadavg()[0]
    load, advice = f"{busy:.1f} on {cores} cores", "other programs are busy here: forecasts will be too optimistic"
    yield warn("load", load, advice) if busy > cores else ok("load", load)


def check_memory(_: Patient) -> Iterator[Finding]:
    """Memory that is free, and where Ray keeps the data set."""
    free, total = _memory()
    value = f"{size(free)} of {size(total)} free"
    advice = "close other programs, or lower concurrency: a trial takes about 0.5 GB"
    yield warn("memory", value, advice) if free < _LITTLE_MEMORY else ok("memory", value)
    shared = Path("/dev/shm")
    if shared.is_dir():
        usage = shutil.disk_usage(shared)
        value = f"{size(usage.free)} of {size(usage.total)} free in /dev/shm"
        advice = "Ray keeps the data set there; with Docker: --shm-size=2g"
        little = usage.free < _LITTLE_MEMORY / 10
        yield warn("shared memory", value, advice) if little else ok("shared memory", value)


def _memory() -> tuple[float, float]:
    """Bytes that are free, and all; within the control group's limit where it has one."""
    page = os.sysconf("SC_PAGE_SIZE")
    free, total = float(page * os.sysconf("SC_AVPHYS_PAGES")), float(page * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError, KeyError):  # caches count as free, where the system tells
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = 1024.0 * int(facts["MemAvailable"].split()[0])
    with suppress(OSError, ValueError):  # "max" without a limit
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        total, free = min(total, limit), min(free, max(0, limit - used))
    return free, total


def _cpu_quota() -> float | None:
    """CPUs that the control group allows, None without a limit."""
    try:
        allowed, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError):
        return None
