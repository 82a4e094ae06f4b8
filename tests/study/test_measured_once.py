"""Commands take what was measured of the real images from the cache; one measures it anew, on purpose."""

import ast
from pathlib import Path

STUDY = Path(__file__).parents[2] / "study"


def test_only_run_trial_measures_the_real_images_anew() -> None:
    calls: dict[str, bool] = {}
    for file in STUDY.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "prepare":
                calls[str(file.relative_to(STUDY))] = any(
                    given.arg == "cached" and ast.unparse(given.value) == "True" for given in node.keywords
                )
    assert "running/launch.py" in calls
    assert {file for file, cached in calls.items() if not cached} == {"production/run_trial.py"}
