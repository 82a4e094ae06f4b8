"""`StudyConfig`: the study file, validated once."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from search_spaces.dotted import GIVEN_BY_STUDY
from search_spaces.registry import SPACES
from search_spaces.space import Space
from study.folder import StudyFolder, check_name, storage_root
from study.ledger.modes import MODES
from study.study_file.addresses import address, located_uri
from study.study_file.auto_precision import AUTO, recorded_precision, settled_precision
from study.study_file.samplers import SAMPLERS
from study.study_file.schedule import Schedule
from study.yaml_file import parse_value, read_yaml
from trainables.data import SOURCES, Split
from trainables.data.source import DataSource
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.gan.config import TrialConfig
from trainables.nested import flatten
from trainables.paths import PATH_KEYS, absolute, check_path, located
from trainables.validation import validated
from trainables.variants import KeyOf, OneOf, SettingsOf, Variant

CHANGEABLE = (
    "trials",
    "concurrency",
    "time_budget_minutes",
    "max_failures",
    "report_deadline_minutes",
    "mlflow",
    "storage",
    "resources.cuda_graphs",
    "sampler.ask_ahead",
    *(".".join(keys) for keys in PATH_KEYS),
)
"""Keys that may differ when a study is launched again, with all below them; `schedule.max_kimg` may grow."""


class SpaceChoice(Variant):
    """Which space, and what of it."""

    base: Annotated[str, KeyOf(SPACES)] = Field(default="gan28", description="see: ganstudy spaces show NAME")
    narrow: dict[str, Any] = Field(default={}, description="parameter: {low, high} or a list of choices")
    fix: Annotated[dict[str, Any], SettingsOf(TrialConfig, but=GIVEN_BY_STUDY)] = Field(
        default={},
        description="parameter or field of the trial: value; `precision: auto` is bf16 where that costs nothing",
    )
    baselines: bool = Field(default=True, description="try the space's known-good settings first")

    def resolve(self) -> Space:
        """Return the space as narrowed and fixed.

        Raises:
            InvalidInput: if a parameter is unknown, or a range is not inside the space's.
        """
        try:
            space = self._of(self.base)
        except InvalidInput as error:
            others = [name for name in SPACES if name != self.base and self._fits(name)]
            possible = f", or set space.base to one that has it: {', '.join(others)}" if others else ""
            raise InvalidInput(f"{error}{possible}") from None
        return space if self.baselines else replace(space, baselines=())

    def _of(self, base: str) -> Space:
        return SPACES[base].narrowed(self.narrow).fixed(self.fix)

    def _fits(self, base: str) -> bool:
        try:
            self._of(base)
        except InvalidInput:
            return False
        return True


class SamplerChoice(Variant):
    """Who proposes configurations."""

    name: Annotated[str, KeyOf(SAMPLERS)] = Field(
        default="tpe", description="tpe: Optuna's tree-structured Parzen estimator, multivariate; random: no model"
    )
    startup_trials: int = Field(default=10, ge=1, description="random trials before the model is used")
    ask_ahead: bool = Field(
        default=True,
        description="propose the next trial when one has started, so that no slot waits; "
        "false: when a slot is free, with one more result known",
    )


class Resources(Variant):
    """What one trial takes. A fraction of a GPU lets trials share it."""

    cpus: float | Literal["auto"] = Field(default="auto", description="auto: 1")
    gpus: float | Literal["auto"] = Field(default="auto", description="auto: 1 where the cluster has any, else 0")
    cuda_graphs: bool = Field(
        default=False, description="on a GPU, capture training steps as CUDA graphs and replay them; not measured yet"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.cpus != "auto" and self.cpus <= 0:
            raise ValueError(f"cpus {self.cpus} must be above 0")
        if self.gpus != "auto" and (self.gpus < 0 or (self.gpus > 1 and self.gpus % 1)):
            raise ValueError(f"gpus {self.gpus}: use 0, a fraction up to 1, or a whole number")
        if self.cuda_graphs and self.gpus == 0:
            raise ValueError("cuda_graphs true: a CPU has none, and gpus is 0; leave one of them out")
        return self


class Mlflow(Variant):
    """Where results are shown."""

    uri: Annotated[
        str | None,
        address(
            ("http", "https", "sqlite", "postgresql"),
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ~/.pgpass",
        ),
    ] = Field(default=None, description="default: SQLite in the study's folder")
    system_metrics: bool = Field(
        default=False, description="also log CPU, memory, disk, network and GPU of the driver's machine; needs psutil"
    )


class Storage(Variant):
    """Where the study lives. On a cluster, a path that every node can see."""

    path: Annotated[Path, AfterValidator(check_path)] = Field(
        default_factory=lambda: storage_root(None), description="default: $GANSTUDY_STORAGE, or runs"
    )
    ledger: Annotated[str | None, address(("postgresql",), "PGPASSWORD or ~/.pgpass")] = Field(
        default=None, description="a PostgreSQL URL; default: SQLite in the study's folder"
    )
    readers: Annotated[str, KeyOf(MODES)] = Field(
        default="owner",
        description="who may read the SQLite ledger's files: owner, group or everyone; a reader can also hold the "
        "study up. PostgreSQL has its own grants",
    )


class StudyConfig(Variant):
    """A study, as its file says it."""

    name: Annotated[str, AfterValidator(check_name)] = Field(
        description="of the study, its folder and its MLflow experiment: 1 to 64 letters, digits, '_', '-' or '.'"
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="decides what is sampled, and every trial's own seed")
    data: Annotated[DataSource, OneOf(SOURCES)] = Field(description="the images; see: ganstudy data describe NAME")
    space: SpaceChoice = SpaceChoice()
    sampler: SamplerChoice = SamplerChoice()
    schedule: Schedule
    trials: int = Field(ge=1, le=1_000_000, description="how many in all; more continue a study that has ended")
    time_budget_minutes: float | None = Field(default=None, gt=0, description="of one launch; the same command resumes")
    concurrency: int | Literal["auto"] = Field(default="auto", description="auto: as many as the resources allow")
    resources: Resources = Resources()
    evaluation: Evaluation = Evaluation()
    max_failures: int = Field(default=3, ge=0, description="restarts of a trial whose worker was lost")
    report_deadline_minutes: float | None = Field(
        default=60, gt=0, description="a trial that is silent for longer is ended as failed; null: never"
    )
    warm_start: tuple[Annotated[str, AfterValidator(check_name)], ...] = Field(
        default=(),
        description="names of earlier studies in the same storage, with the same FID, whose results the sampler "
        "starts from; they are copied when the study is opened and cannot be changed later",
    )
    mlflow: Mlflow = Mlflow()
    storage: Storage = Storage()

    @model_validator(mode="after")
    def _resolvable(self) -> Self:
        if self.concurrency != "auto" and self.concurrency < 1:
            raise ValueError(f"concurrency {self.concurrency} must be at least 1")
        for index, name in enumerate(self.warm_start):
            if name == self.name:
                raise ValueError(f"warm_start {name}: is this study itself, which has its own results anyway")
            if name in self.warm_start[:index]:
                raise ValueError(f"warm_start {name}: is listed twice; leave one out")
        if self.evaluation.split != Split.VALIDATION:
            raise ValueError(
                f"evaluation.split {self.evaluation.split}: trials are ranked on validation images, so that test "
                "images can tell later how good the winner is; leave it out (data.splits: all, of a folder or "
                ".npz file, measures against train images)"
            )
        for key, value in self.space.resolve().constants.items():
            if key.endswith(".decay_kimg") and 0 < int(value) < self.schedule.max_kimg:
                raise ValueError(
                    f"space.fix {key} {value}: the rate would be 0 from there to schedule.max_kimg "
                    f"{self.schedule.max_kimg}; give at least that"
                )
        return self

    @property
    def folder(self) -> StudyFolder:
        """Where the study lies on disk."""
        return StudyFolder(absolute(self.storage.path), self.name)

    def located(self) -> Self:
        """Return the same with absolute paths, also in addresses of files.

        Raises:
            InvalidInput: if the current folder was removed, or `~user` is nobody.
        """
        config = located(self)
        uri = config.mlflow.uri and located_uri(config.mlflow.uri)
        return config.model_copy(update={"mlflow": config.mlflow.model_copy(update={"uri": uri})})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return self.model_dump(mode="json")


def read_study(path: Path, overrides: Iterable[str] = (), storage: Path | None = None) -> StudyConfig:
    """Read a study file and apply `--set a.b=c` overrides, and `storage` as the storage folder if it is given.

    Relative paths in it are taken from the current folder and made absolute.

    Raises:
        InvalidInput: with one line on the first thing that is wrong.
    """
    data = read_yaml(path)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--set {quoted(override)}: write it as key.subkey=value")
        _put(data, key.split("."), parse_value(value), override)
    if storage is not None:
        _put(data, ["storage", "path"], str(storage_root(storage)), f"storage.path={storage}")
    fixed = _fixed(data)
    automatic = fixed.get("precision") == AUTO
    if automatic:
        fixed["precision"] = "float32"
    config = validated(StudyConfig, data, f"study file {path}")
    if automatic:
        begun = config.folder.study_file
        recorded = recorded_precision(_fixed(read_yaml(begun))) if begun.is_file() else None
        fixed["precision"] = recorded or settled_precision(config.space.resolve(), config.resources.gpus)
        config = validated(StudyConfig, data, f"study file {path}")
    return config.located()


def _fixed(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a study file's space fixes; nothing where the file is not valid, which validation reports."""
    space = data.get("space")
    fixed = space.get("fix") if isinstance(space, dict) else None
    return fixed if isinstance(fixed, dict) else {}


def _put(data: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for count, key in enumerate(keys[:-1], 1):
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            known = ".".join(keys[:count])
            raise InvalidInput(f"--set {quoted(override)}: {quoted(known)} holds a value, not keys")
    data[keys[-1]] = value


def refuse_changes(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    """Refuse to resume a study with another meaning.

    Raises:
        InvalidInput: listing every key that differs and may not.
    """
    with suppress(InvalidInput):  # settings that are newer than the study's ganstudy have their defaults
        old = validated(StudyConfig, dict(old), "settings").to_dict()
    before, after = flatten(old), flatten(new)
    wrong = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        grows = key == "schedule.max_kimg" and isinstance(was, int) and isinstance(now, int) and now > was
        if was != now and not grows and not is_changeable(key):
            wrong.append(f"{key}: {quoted(was)} -> {quoted(now)}")
    if wrong:
        raise InvalidInput(
            f"the study in {folder} was started with other settings ({'; '.join(wrong)}); "
            "undo these, or choose another name"
        )


def is_changeable(key: str) -> bool:
    """Tell whether a key may have any other value when its study is launched again."""
    return any(key == free or key.startswith(f"{free}.") for free in CHANGEABLE)
