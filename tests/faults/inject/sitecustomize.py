"""Puts faults into a study's real workers, with no line for it in the product.

On PYTHONPATH of a driver, Python imports this file at the start of the driver and of each of its workers. Once
`trainables.trial` is imported its `Trial.next_report` is wrapped; the variable GANSTUDY_TEST_FAULTS (JSON) says which
fault strikes: a list of {"do": one of `FAULTS`, "trial": number or null for all, "kimg": the report that it strikes,
null for all, "once": a file that is made when it strikes, after which it strikes no more, and what the fault needs}.
"""

import ctypes
import importlib.util
import json
import os
import sys
import time
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


def _slow(fault, trial):
    time.sleep(fault["seconds"])


def _wait_for_gate(fault, trial):
    while not Path(fault["gate"]).exists():
        time.sleep(0.05)


def _out_of_memory(fault, trial):
    raise MemoryError("cannot allocate 80 GiB")


def _raise_in_evaluation(fault, trial):
    def broken():
        raise ValueError("the extractor is\nbroken")

    trial.session.evaluate = broken


BEFORE = {
    "segv": _crash,
    "exit": _exit,
    "os_exit": _exit_at_once,
    "hang": _hang,
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

        spec.loader.exec_module = execute_and_wrap
        return spec


if os.environ.get("GANSTUDY_TEST_FAULTS"):
    sys.meta_path.insert(0, _Finder())
