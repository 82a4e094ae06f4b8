"""Commands that look at data sets and search spaces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from search_spaces.hints import nearest
from search_spaces.registry import SPACES
from study.study_file.config import read_study
from study.study_file.data_keys import extractor_keys, keys_of_path, sized
from study.terminal.say import say_warnings
from study.terminal.screen import Screen
from study.views.data import print_data, print_fid
from study.views.space import print_space, print_spaces
from trainables.data import SOURCES
from trainables.data.described import described
from trainables.data.source import DataSource
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.evaluation.cautions import cautions
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import fid_described, prepare
from trainables.paths import expanded
from trainables.validation import validated


@dataclass(frozen=True)
class Describe:
    """What `ganstudy data describe` was asked for: a study file, a path, or a source, with its options."""

    source: str
    path: Path | None
    size: int | None
    mode: str | None
    labels: str | None
    as_json: bool
    splits: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The source's keys but for the path, where given."""
        keys = {"size": self.size, "mode": self.mode, "labels": self.labels, "splits": self.splits}
        return {key: value for key, value in keys.items() if value is not None}


def describe(options: Describe, console: Console) -> None:
    """Print what is known of a data set, and then what an FID of it is.

    Raises:
        InvalidInput: if it cannot be read, or, after what is known, if no FID of it can be measured.
    """
    data, asked = _source(options)
    dataset = data.load()
    evaluation = asked or Evaluation.model_validate(extractor_keys(dataset))
    warned = cautions(dataset, evaluation)
    facts = described(dataset) | {"warnings": warned}
    if not options.as_json:
        print_data(facts, console)
        console.print()
        say_warnings(console, warned)
    told = "measuring real images and noise; the first time an extractor is trained for it, which takes minutes"
    try:
        with Screen(stderr=True).status(told):  # on a terminal alone
            fid = fid_described(prepare(data, evaluation, cached=True, loaded=dataset))
    except InvalidInput:
        if options.as_json:
            console.print_json(data=facts)
        raise
    if options.as_json:
        console.print_json(data=facts | fid)
    else:
        print_fid(fid, console)


def _source(options: Describe) -> tuple[DataSource, Evaluation | None]:
    """Return the data source of that name, that of a study file with its evaluation, or that of a path."""
    source, path, given = options.source, options.path, options.given
    if source in SOURCES:
        variant = SOURCES[source]
        if path is not None:
            if (key := variant.path_key()) is None:
                raise InvalidInput(f"--path {path}: {source} comes with a library; leave it out")
            given[key] = path
        return validated(variant, sized({"name": source} | given, options.size), f"data {source}"), None
    if Path(source).suffix in (".yaml", ".yml"):
        if given or path is not None:
            raise InvalidInput(f"data describe {source}: the study file already says so; leave the options out")
        config = read_study(expanded(Path(source)))
        return config.data, config.evaluation
    if path is not None:
        raise InvalidInput(f"data describe {quoted(source)}: is a path itself; leave out --path {path}")
    keys = keys_of_path(source, "data describe")
    return validated(SOURCES[keys["name"]], sized(keys | given, options.size), f"data {source}"), None


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
        raise InvalidInput(f"space {quoted(name)}: {nearest(name, SPACES)}; see: ganstudy spaces")
    if as_json:
        console.print_json(data=SPACES[name].to_dict())
    else:
        print_space(SPACES[name], console)
