"""Runs the fault tests and writes what they observed as a table: `python benchmarks/fault_matrix.py`.

The tests in tests/faults note each fault, what was expected, what was observed and how long recovery took. Faults that
tests elsewhere inject are run by their names below; of these the table says how many cases passed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
END_TO_END, LEDGER, FAULTS = "tests/test_end_to_end.py", "tests/study/ledger/test_ledger.py", "tests/faults"
MLFLOW, TERMINAL = "tests/study/mlflow", "tests/study/terminal"
JOURNAL, CHECKPOINT = "tests/faults/test_faults_journal.py", "tests/trainables/test_checkpoint.py"
PROJECTION = f"{MLFLOW}/test_mlflow_projection.py"
USAGE = "tests/test_cli_usage.py"
ANY_CALL = "test_an_error_at_any_call_loses_and_doubles_nothing"

# (fault, expected, test): each of these tests injects its fault itself.
ELSEWHERE = (
    (
        "driver: SIGKILL, SIGTERM, SIGINT",
        "resume exact",
        f"{END_TO_END}::test_a_killed_study_goes_on_and_ends_as_if_nothing_had_happened",
    ),
    ("worker: SIGKILL", "results exact", f"{END_TO_END}::test_a_killed_worker_costs_no_trial_and_no_report"),
    (
        "a second driver",
        "refused, owner named",
        f"{END_TO_END}::test_a_second_driver_is_refused_and_told_who_runs_the_study",
    ),
    (
        "a crash after any commit of a study",
        "resume exact",
        "tests/study/running/test_conductor.py::test_a_crash_after_any_commit_changes_nothing",
    ),
    (
        "driver with a PostgreSQL ledger: SIGKILL",
        "study completes",
        "tests/study/running/test_launch_postgresql.py::test_a_study_on_postgresql_survives_its_driver",
    ),
    (
        "others hold the ledger's lock, its tables or its files; stopped in a read or a write",
        "waited for and named; Ctrl-C works",
        "tests/study/ledger/test_ledger_busy.py",
    ),
    (
        "an older or another ledger, or an older MLflow store, put back",
        "refused, and the option goes on; MLflow brought up to date",
        "tests/study/older/test_older_ledger.py",
    ),
    ("bad reports of every kind", "trial fails, typed", "tests/study/running/test_conductor_bad_reports.py"),
    ("a ledger damaged anywhere", "refused, place named", LEDGER),
    ("a crash within a commit; the journal stays, is deleted or damaged", "rolled back, or refused", JOURNAL),
    ("a checkpoint damaged, missing, or cut off at any step", "the one before, or refused", CHECKPOINT),
    ("MLflow: an error at any call", "nothing lost, nothing twice", f"{PROJECTION}::{ANY_CALL}"),
    (
        "MLflow's store: SIGKILL at any moment while it is made; half made, damaged, another's",
        "none, a whole one, or refused",
        f"{MLFLOW}/test_mlflow_database.py",
    ),
    (
        "MLflow experiments renamed, archived, doubled",
        "each run once, or named",
        "tests/study/mlflow/test_mlflow_names.py",
    ),
    (
        "servers that drip or flood, in every way",
        "ended at a stated limit",
        f"{MLFLOW}/test_mlflow_exchange.py",
    ),
    ("bytes of any kind for every reader", "one line, and never another study", "tests/test_fuzz.py"),
    (
        "a file to write that is a device, a pipe, a link, a folder, a socket",
        "written to, followed, or one line",
        f"{TERMINAL}/test_named_files.py",
    ),
    (
        "a study of relative paths used from elsewhere; its data moved",
        "the same study; told where it was looked for",
        "tests/test_places_end_to_end.py",
    ),
    ("a secret through every option, key and variable", "shown and kept nowhere", "tests/test_secrets.py"),
    (
        "names and texts with terminal sequences, markup, HTML",
        "shown escaped",
        f"{TERMINAL}/test_foreign_text.py",
    ),
    ("output that cannot be written, or that nobody reads", "one line, or silence", "tests/test_output.py"),
    ("what Ray raises while it starts", "one line", f"{USAGE}::test_what_ray_refuses_is_told_in_one_line"),
    ("folders, tokens and addresses that Ray cannot use", "one line", "tests/study/running/test_ray_environment.py"),
    ("bad input", "one line, exit 2, nothing touched", "tests/test_bad_input.py"),
)

_HEAD = """# The fault matrix

What was done to real studies and what came of it. Made by `python benchmarks/fault_matrix.py` on {day}, from a run:
{passed} of {total} tests passed in {minutes:.0f} minutes. Python {python}, ray {ray}, torch {torch}, mlflow {mlflow};
{cores} cores.

Recovery is counted from the fault (or the last result acknowledged before it) until the study, or the struck trial, is
acknowledged to go on or has ended with its message; after a full disk, until the same launch has completed.
"Equal" means: every configuration, FID, decision and cause is that of an uninterrupted run, to the last bit.

| fault | expected | observed | seconds to recover | test |
|---|---|---|---:|---|
"""
_ELSEWHERE_HEAD = """
Faults that other tests of the suite inject:

| fault | expected | observed | test |
|---|---|---|---|
"""


def run(tests: Sequence[str], junit: Path, record: Path) -> int:
    """Run tests with pytest; return its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={junit}", *tests]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"GANSTUDY_FAULT_RECORD": str(record)}).returncode


def counted(junit: Path, test: str = "") -> tuple[int, int]:
    """Return how many tests passed, of how many that were not skipped; of a file or a test's cases if it is named."""
    file, _, name = test.partition("::")
    module = file.removesuffix(".py").replace("/", ".")
    cases = [
        case
        for case in ElementTree.parse(junit).iter("testcase")
        if case.find("skipped") is None
        and case.get("classname", "").startswith(module)
        and case.get("name", "").partition("[")[0].startswith(name)
    ]
    bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return len(cases) - bad, len(cases)


def rows(record: Path) -> Iterator[str]:
    """Yield a line of the table for each fault noted, in the order of the tests' files."""
    for row in sorted(map(json.loads, record.read_text().splitlines()), key=lambda row: row["test"].partition("::")[0]):
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        file, _, name = row["test"].partition("::")
        yield " | ".join(
            ["", row["fault"], row["expected"], row["observed"], seconds, f"`{Path(file).name}::{name}`", ""]
        ).strip()


def main() -> int:
    """Run all and write the file; return 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "faults.md")
    parser.add_argument("--whole", action="store_true", help="run the whole suite, not only what the table needs")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        junit, record = Path(folder) / "junit.xml", Path(folder) / "record.jsonl"
        record.touch()
        tests = ["tests"] if arguments.whole else [FAULTS, *(test for _, _, test in ELSEWHERE)]
        failed = run(tests, junit, record)
        passed, total = counted(junit)
        lines = list(rows(record))
        others = []
        for fault, expected, test in ELSEWHERE:
            good, of = counted(junit, test)
            if not of:
                raise SystemExit(f"{test}: no such test ran")
            others.append(f"| {fault} | {expected} | {good} of {of} cases pass | `{test.removeprefix('tests/')}` |")
    text = _HEAD.format(
        day=time.strftime("%Y-%m-%d"),
        passed=passed,
        total=total,
        minutes=(time.monotonic() - began) / 60,
        python=platform.python_version(),
        cores=os.cpu_count(),
        **{name: version(name) for name in ("ray", "torch", "mlflow")},
    )
    text += "\n".join(lines) + "\n" + _ELSEWHERE_HEAD + "\n".join(others) + "\n"
    arguments.out.write_text(text)
    print(f"{passed} of {total} tests passed; {arguments.out}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
