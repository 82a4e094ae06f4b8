"""A module's tests are found by its name: tests/trainables/gan/test_losses.py are those of trainables/gan/losses.py."""

from pathlib import Path

TESTS = Path(__file__).parent
CROSS_CUTTING = {
    "trainables/data/test_data.py",
    "trainables/data/test_data_sources.py",
    "trainables/evaluation/test_evaluation_precision.py",
    "trainables/evaluation/test_rung_count.py",
    "trainables/gan/models/test_models.py",
    "trainables/gan/models/test_models_networks.py",
    "trainables/gan/test_trial_config.py",
    "trainables/gan/test_whole_step.py",
    "search_spaces/test_conformance.py",
    "search_spaces/test_errors.py",
}
"""Tests of several modules, or of one whose own name another test has."""


def test_tests_mirror_the_folders() -> None:
    found = {path for package in ("trainables", "search_spaces") for path in (TESTS / package).rglob("test_*.py")}
    modules = {
        path: TESTS.parent / path.relative_to(TESTS).with_name(path.name.removeprefix("test_")) for path in found
    }
    astray = {path for path, module in modules.items() if not (module.exists() or module.with_suffix("").is_dir())}
    assert {path.relative_to(TESTS).as_posix() for path in astray} == CROSS_CUTTING
