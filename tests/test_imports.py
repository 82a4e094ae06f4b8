"""The layers of ARCHITECTURE.md, read from the source: data and imports flow one way."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("trainables", "search_spaces", "study")
FORBIDDEN = {
    "trainables": {"optuna", "mlflow", "search_spaces", "study", "ray"},
    "search_spaces": {"ray", "mlflow", "study"},
    "study": set(),
}
EXCEPTIONS = {("trainables/tune.py", "ray")}
READERS = (
    *("folder", "ledger.catalogue", "loaded", "ledger.events", "ledger.ledger", "ledger.records", "running.board"),
    *("analysis.ranking", "analysis.export", "analysis.compare", "analysis.results"),
    *("report.page", "views.tables", "commands.results", "commands.listing"),
)

FLOORS = {
    "trainables": (
        "display errors paths source repeats yaml_reason nested precision tensors streams variants images threads "
        "nearest quiet",
        "files validation world faults",
        "data",
        "evaluation",
        "gan",
        "checkpoint",
        "generator held_out trial",
        "evaluate_generator portable tune",
        "onnx_export",
    ),
    "search_spaces": (
        "hints",
        "distributions dotted",
        "parameter",
        "structure probing",
        "narrowing",
        "space",
        "parts settings",
        "conditional gan28 gan32 kurach lucic quick",
        "registry",
    ),
    "study": (
        "cores data_paths device exit_codes folder own_path private_names yaml_file",
        "terminal",
        "ledger",
        "study_file",
        "analysis",
        "views",
        "report",
        "mlflow",
        "older",
        "running",
        "retraining",
        "production",
        "doctor verify",
        "loaded",
        "commands",
        "cli",
    ),
}
"""The rooms (folders and files) of each package, the lowest floor first; imports stay on a floor or go down."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every import in the file, also those inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", [p for package in PACKAGES for p in sources(package)], ids=str)
def test_a_layer_imports_only_what_lies_below_it(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    allowed = {name for file, name in EXCEPTIONS if file == relative}
    wrong = (imported(path) & FORBIDDEN[relative.split("/")[0]]) - allowed
    assert not wrong, f"{relative} must not import {wrong}"


def test_the_rule_is_not_vacuous() -> None:
    assert "ray" in imported(ROOT / "trainables/tune.py")
    assert all(len(sources(package)) > 3 for package in PACKAGES)


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.splitlines()[-1].split())


def test_modules_that_only_read_results_load_nothing_heavy() -> None:
    code = "\n".join(f"import study.{module}" for module in READERS)
    assert not loaded_after(code) & {"torch", "ray", "mlflow", "optuna", "pandas", "torchvision"}


def test_verify_needs_no_ray() -> None:
    assert "ray" not in loaded_after("import study.verify.verify")


def test_help_loads_nothing_heavy() -> None:
    run = "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    code = f"from typer.testing import CliRunner\nfrom study.cli import app\n{run}"
    assert not loaded_after(code) & {"torch", "ray", "mlflow", "optuna", "pandas"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for package in FLOORS for path in sources(package)}


def ours(module: str) -> set[str]:
    """The modules in `MODULES` that one imports, also inside functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) or {node.module}
    return found & MODULES.keys()


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_is_on_one_floor_and_imports_run_down(package: str) -> None:
    floors = {room: number for number, rooms in enumerate(FLOORS[package]) for room in rooms.split()}
    within = {module: module.split(".")[1] for module in MODULES if module.startswith(f"{package}.")}
    assert sorted(" ".join(FLOORS[package]).split()) == sorted(set(within.values()))
    up = [
        f"{module} (floor {floors[room]}) imports {other} (floor {floors[within[other]]})"
        for module, room in within.items()
        for other in sorted(ours(module) & within.keys())
        if floors[within[other]] > floors[room]
    ]
    assert up == []


def test_no_files_import_one_another_in_a_circle() -> None:
    TopologicalSorter({module: ours(module) - {module} for module in MODULES}).prepare()  # CycleError names the circle
