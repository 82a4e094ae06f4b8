"""Puts faults into a study's real workers, with no line for it in the product.

On PYTHONPATH of a driver, Python imports this file at the start of the driver and of each of its workers. Once
`trainables.trial` is imported its `Trial.next_report` is wrapped; the variable GANSTUDY_TEST_FAULTS (JSON) says which
fault strikes: a list of {"do": one of `FAULTS`, "trial": number or null for all, "kimg": the report that it strikes,
null for all, "once": a file that is made when it strikes, after which it strikes no more, and what the fault needs}.
Where a trial is to hang, the deadline holds for that report only: no busy machine can let another one miss it.
"""

import ctypes
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path


def _crash(fault, trial):
    ctypes.string_at(0)


def _exit(fault, trial):
    sys.exit(3)


def _exit_at_once(fault, trial):
    os._exit(3)


def _hang(fault, trial):
    time.sleep(1e6)


def _hang_in_c(fault, trial):
    ctypes.PyDLL(None).sleep(1_000_000)  # and holds Python's lock


def _slow(fault, trial):
    time.sleep(fault["seconds"])


def _wait_for_gate(fault, trial):
    while not Path(fault["gate"]).exists():
        time.sleep(0.05)


def _out_of_memory(fault, trial):
    raise MemoryError("cannot allocate 80 GiB")


def _raise_in_evaluation(fault, trial):
    def broken(**how):
        raise ValueError("the extractor is\nbroken")

    trial.session.evaluate = broken


def _spoil(fault, trial):
    SPOIL[fault["how"]](fault, trial._checkpoints)
    os._exit(3)


def _newest(store):
    return store.path(store.kimgs()[-1])


def _cut_off(fault, store):
    file = _newest(store) / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def _flip_a_bit(fault, store):
    file = _newest(store) / "state.pt"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def _empty(fault, store):
    for file in store.folder.glob("*/*"):
        file.write_bytes(b"")


def _remove(fault, store):
    shutil.rmtree(store.folder)


def _other_architecture(fault, store):
    """All of them hold networks that are twice as wide, and check."""
    from trainables.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

    for kimg in store.kimgs():
        found = read_checkpoint(store.path(kimg))
        wide = {
            name: tensor.repeat_interleave(2, dim=0) for name, tensor in found.state["generator"].items() if tensor.ndim
        }
        shutil.rmtree(store.path(kimg))
        write_checkpoint(store.path(kimg), Checkpoint(found.state | {"generator": wide}, found.report))


class _Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mknod, (self.path,))


def _code(fault, store):
    """The newest holds a pickle that would make a file, and checks."""
    import torch

    folder = _newest(store)
    torch.save({"kimg": _Touch(fault["makes"])}, folder / "state.pt")
    manifest = folder / "manifest.json"
    names = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}))


SPOIL = {
    "cut_off": _cut_off,
    "bit": _flip_a_bit,
    "empty": _empty,
    "remove": _remove,
    "architecture": _other_architecture,
    "code": _code,
}
BEFORE = {
    "spoil": _spoil,
    "segv": _crash,
    "exit": _exit,
    "os_exit": _exit_at_once,
    "hang": _hang,
    "hang in C": _hang_in_c,
    "slow": _slow,
    "wait": _wait_for_gate,
    "memory": _out_of_memory,
    "raise": _raise_in_evaluation,
}


def _set(fault, report):
    return report | {fault["name"]: fault["value"]}


def _drop(fault, report):
    return {name: value for name, value in report.items() if name != fault["name"]}


AFTER = {"set": _set, "drop": _drop}
FAULTS = (*BEFORE, *AFTER, "note")  # note: writes an exception's name to a file


def _strikes(fault, number, kimg):
    if fault.get("trial") not in (None, number) or fault.get("kimg") not in (None, kimg):
        return False
    if "once" not in fault:
        return True
    try:
        Path(fault["once"]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _wrap(module):
    faults = json.loads(os.environ["GANSTUDY_TEST_FAULTS"])
    original = module.Trial.next_report

    def next_report(self, kimg):
        number, due = int(self._checkpoints.folder.parent.name), self.session.kimg + kimg
        if self.unreported:  # the report of a checkpoint, made again
            return original(self, kimg)
        for fault in faults:
            if fault["do"] in BEFORE and _strikes(fault, number, due):
                BEFORE[fault["do"]](fault, self)
        try:
            report = original(self, kimg)
        except Exception as error:
            for fault in faults:
                if fault["do"] == "note":
                    Path(fault["file"]).write_text(f"{number}: {type(error).__name__}")
            raise
        for fault in faults:
            if fault["do"] in AFTER and _strikes(fault, number, due):
                report = AFTER[fault["do"]](fault, report)
        return report

    module.Trial.next_report = next_report


def _hold_deadline_only_where_a_trial_hangs(watchdog):
    hangs = [fault for fault in json.loads(os.environ["GANSTUDY_TEST_FAULTS"]) if fault["do"] == "hang"]
    original = watchdog.watching

    @contextmanager
    def watching(self):
        trial = self._file.parent
        there = [int(path.name.removeprefix("kimg-")) for path in (trial / "checkpoints").glob("kimg-*")]
        newest, deadline = max(there, default=0), self._seconds
        if not any(fault["trial"] == int(trial.name) and fault["after"] == newest for fault in hangs):
            self._seconds = None
        try:
            with original(self):
                yield
        finally:
            self._seconds = deadline

    watchdog.watching = watching


class _Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "trainables.trial":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_wrap(module):
            execute(module)
            _wrap(module)
            _hold_deadline_only_where_a_trial_hangs(sys.modules["trainables.faults"].Watchdog)

        spec.loader.exec_module = execute_and_wrap
        return spec


if os.environ.get("GANSTUDY_TEST_FAULTS"):
    sys.meta_path.insert(0, _Finder())
