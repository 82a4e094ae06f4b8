from pathlib import Path
from typing import Any

import pytest
import yaml
from toys import toy_config

from study.running import sampling
from study.study_file.config import StudyConfig, read_study, refuse_changes
from study.study_file.samplers import SAMPLERS
from trainables.errors import InvalidInput

STUDIES = sorted((Path(__file__).parents[3] / "studies").glob("*.yaml"))

MINIMAL = """
name: small
data: {name: digits}
trials: 3
schedule: {grace_kimg: 1, max_kimg: 3}
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_every_shipped_study_file_is_valid_and_survives_a_round_trip(path: Path, tmp_path: Path) -> None:
    config = read_study(path)
    again = written(tmp_path, yaml.safe_dump(config.to_dict()))
    assert read_study(again) == config


def test_there_are_shipped_study_files() -> None:
    assert "quickstart.yaml" in [path.name for path in STUDIES]


def test_a_minimal_file_gets_the_documented_defaults(tmp_path: Path) -> None:
    config = read_study(written(tmp_path, MINIMAL))
    assert (config.space.base, config.sampler.name, config.concurrency, config.seed) == ("gan28", "tpe", "auto", 0)
    assert config.folder.path == Path.cwd() / "runs" / "small"


def test_overrides_reach_nested_keys_and_are_read_as_yaml(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL)
    config = read_study(path, ["schedule.max_kimg=9", "space.fix.generator_optimiser.lr=1e-4", "trials=5"])
    assert (config.schedule.max_kimg, config.trials) == (9, 5)
    space = config.space.resolve()
    places = space.settings_of(space.sample(lambda name, d: d.choices[0] if hasattr(d, "choices") else d.low))
    assert places["generator_optimiser.lr"] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trials": -5}, "greater than or equal to 1"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"tirals": 5}, "did you mean 'trials'"),
        ({"name": "../evil"}, "study name '../evil'"),
        ({"name": "a/b"}, "study name 'a/b'"),
        ({"name": ""}, "study name ''"),
        ({"name": "-rf"}, "study name '-rf'"),
        ({"name": "x" * 300}, "1 to 64 letters"),
        ({"name": "a\nb"}, "1 to 64 letters"),
        ({"concurrency": 0}, "at least 1"),
        ({"time_budget_minutes": 0}, "greater than 0"),
        ({"schedule": {"grace_kimg": 5, "max_kimg": 3}}, "above max_kimg"),
        ({"schedule": {"grace_kimg": 1, "max_kimg": 9, "brackets": 50}}, "use at most 2"),
        ({"sampler": {"name": "tpee"}}, "choose one of tpe"),
        ({"space": {"base": "quik"}}, "did you mean 'quick'? choose one of quick"),
        ({"space": {"narrow": {"los": ["hinge"]}}}, "los"),
        ({"space": {"base": "quick", "narrow": {"beta1": [0.7]}}}, "beta1"),
        ({"resources": {"gpus": 1.5}}, "a fraction up to 1"),
        ({"resources": {"cpus": 0}}, "above 0"),
        ({"resources": {"gpus": 0, "cuda_graphs": True}}, "a CPU has none, and gpus is 0"),
        ({"resources": {"cuda_graphs": "often"}}, "cuda_graphs"),
        ({"data": {"name": "fashion_minst"}}, "fashion_mnist"),
        ({"space": {"base": "gan28", "fix": {"generator_optimiser.decay_kimg": 1}}}, "the rate would be 0"),
        ({"evaluation": {"split": "test"}}, "ranked on validation images"),
        ({"evaluation": {"count": 1}}, "greater than or equal to 2"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"mlflow": {"uri": "ftp://host/x"}}, "ftp"),
        ({"storage": {"ledger": "mysql://host/db"}}, "mysql"),
    ],
)
def test_bad_values_are_refused_in_one_line_that_says_the_rule(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = written(tmp_path, yaml.safe_dump(yaml.safe_load(MINIMAL) | change))
    with pytest.raises(InvalidInput) as caught:
        read_study(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing"),
        ("- 1\n- 2\n", "found list"),
        (b"name: \xff\xfe\n", "not UTF-8"),
        (MINIMAL + "trials: 4\n", "appears twice"),
        ("name: !!python/object:os.system x\n", "not usable YAML"),
        ("a: &a [1]\nb: [*a, *a]\n", "aliases"),
        ("name: [unclosed\n", "not usable YAML"),
    ],
)
def test_text_that_is_no_study_file_is_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read_study(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.yaml: cannot be read"):
        read_study(tmp_path / "none.yaml")


@pytest.mark.parametrize("place", ["mlflow.uri", "storage.ledger"])
def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path: Path, place: str) -> None:
    scheme = {"mlflow.uri": "https", "storage.ledger": "postgresql"}[place]
    with pytest.raises(InvalidInput, match="password") as caught:
        read_study(written(tmp_path, MINIMAL), [f"{place}={scheme}://user:hunter2@host/db"])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("override", ["trials", "=3", "name.x=1", "trials=[1"])
def test_a_bad_override_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(InvalidInput, match="--set"):
        read_study(written(tmp_path, MINIMAL), [override])


def changes(**new: Any) -> None:
    refuse_changes(toy_config().to_dict(), toy_config(**new).to_dict(), Path("runs/toy"))


def test_what_may_change_on_resume_is_taken() -> None:
    changes(
        trials=20,
        concurrency=3,
        time_budget_minutes=5.0,
        mlflow={"uri": "http://127.0.0.1:5000"},
        schedule={"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3},
        resources=toy_config().to_dict()["resources"] | {"cuda_graphs": True},
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 8}, "seed: 7 -> 8"),
        ({"evaluation": {"count": 400}}, "evaluation.count: 300 -> 400"),
        ({"space": {"base": "gan28"}}, "space.base: 'quick' -> 'gan28'"),
        ({"schedule": {"grace_kimg": 1, "max_kimg": 3, "reduction_factor": 3}}, "schedule.max_kimg: 9 -> 3"),
    ],
)
def test_what_would_change_the_meaning_is_refused_key_by_key(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        changes(**change)


def test_a_config_is_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        toy_config().trials = 3  # type: ignore[misc]
    assert isinstance(toy_config(), StudyConfig)


def test_a_study_file_knows_every_sampler_that_there_is() -> None:
    assert set(SAMPLERS) == sampling.SAMPLERS.keys()
