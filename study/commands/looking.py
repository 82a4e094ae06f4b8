"""Commands that look at data sets and search spaces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from search_spaces.registry import SPACES
from study.study_file.config import read_study
from study.views.space import print_space, print_spaces
from study.views.tables import folded_table
from trainables.data import SOURCES
from trainables.data.source import DataSource
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import describe as describe_data
from trainables.evaluation.prepare import prepare
from trainables.nested import flatten
from trainables.paths import expanded
from trainables.validation import validated


@dataclass(frozen=True)
class Describe:
    """What `ganstudy data describe` was asked for: a study file, or a source with its options."""

    source: str
    path: Path | None
    size: int | None
    mode: str | None
    labels: str | None
    as_json: bool

    @property
    def given(self) -> dict[str, Any]:
        """The source's keys but for the path, where given."""
        keys = {"size": self.size, "mode": self.mode, "labels": self.labels}
        return {key: value for key, value in keys.items() if value is not None}


def describe(options: Describe, console: Console) -> None:
    """Print what is known of a data set."""
    data, evaluation = _source(options)
    facts = describe_data(prepare(data, evaluation, cached=True))
    if options.as_json:
        console.print_json(data=facts)
        return
    rows = [[key, str(value)] for key, value in flatten(facts).items()]
    console.print(folded_table([("", "left"), ("", "left")], rows))


def _source(options: Describe) -> tuple[DataSource, Evaluation]:
    """Return the data source of that name, or that of a study file."""
    source, path, given = options.source, options.path, options.given
    if source in SOURCES:
        variant = SOURCES[source]
        if path is not None:
            if (key := variant.path_key()) is None:
                raise InvalidInput(f"--path {path}: {source} comes with a library; leave it out")
            given[key] = path
        return validated(variant, given, f"data {source}"), Evaluation()
    if Path(source).suffix in (".yaml", ".yml"):
        if given or path is not None:
            raise InvalidInput(f"data describe {source}: the study file already says so; leave the options out")
        config = read_study(expanded(Path(source)))
        return config.data, config.evaluation
    raise InvalidInput(f"data {quoted(source)}: choose one of {', '.join(SOURCES)}, or a study file (.yaml)")


def list_spaces(as_json: bool, console: Console) -> None:
    """Print the spaces' names and what they are for."""
    if as_json:
        facts = [
            {"name": s.name, "parameters": len(s.parameters), "description": s.description} for s in SPACES.values()
        ]
        console.print_json(data=facts)
    else:
        print_spaces(SPACES.values(), console)


def show_space(name: str, as_json: bool, console: Console) -> None:
    """Print one space: its parameters, and its baselines with their sources."""
    if name not in SPACES:
        raise InvalidInput(f"space {quoted(name)}: choose one of {', '.join(SPACES)}")
    if as_json:
        console.print_json(data=SPACES[name].to_dict())
    else:
        print_space(SPACES[name], console)
