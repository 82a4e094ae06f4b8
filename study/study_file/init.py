"""`ganstudy init`: writes a study file for a data set, complete, with a comment on every key."""

import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from study.folder import check_name
from study.study_file.config import StudyConfig
from study.study_file.data_keys import extractor_keys, is_path, keys_of_path, sized
from study.study_file.keys import Key, study_keys
from study.study_file.reference import shown
from study.terminal.hints import typed
from study.terminal.say import say, say_warnings, suggest
from trainables.data import SOURCES, Dataset
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.evaluation.cautions import cautions
from trainables.evaluation.config import Evaluation
from trainables.evaluation.real_counts import too_few
from trainables.validation import validated

_COLUMN = 34  # where comments begin
_WIDTH = 118

# A first study that says something after minutes on a CPU: the quickstart's budget.
_TRIALS = 16
_SCHEDULE = {"max_kimg": 45, "grace_kimg": 5, "reduction_factor": 3}
_COUNT, _RUNG_COUNT = 5000, 1000


def write_study_file(data: str, file: Path | None, size: int | None, console: Console) -> None:
    """Write a study file for `data` (a source's name, or a path) to `file`, or one named after the data.

    Raises:
        InvalidInput: if there is such a file already, it cannot be written, or the data is not what can be studied.
    """
    given, seen = _looked_at(data, size)
    stem = _name(file.stem if file else Path(data).stem or data)
    file = file or Path(f"{stem}.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise InvalidInput(f"{file}: a study file ends in .yaml; name it so")
    text = study_text(stem, given, seen, str(file))
    config = validated(StudyConfig, yaml.safe_load(text), f"study file {file}")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise InvalidInput(f"{file}: already exists; name another file, or remove it") from None
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be written: {error.strerror}; name another file") from None
    if seen is not None:
        say_warnings(console, cautions(seen, config.evaluation))
    say(console, f"{file}: a study of {data}, {_TRIALS} trials; read it, then")
    steps = (
        (typed("launch", file, "--dry-run"), "what it would do, and what that would cost"),
        (typed("launch", file), "run it; the same command again resumes it"),
    )
    suggest(console, steps)


def study_text(name: str, data: Mapping[str, Any], seen: Dataset | None, file: str) -> str:
    """Return the study file: what is set, and every other key with its default in a comment.

    Args:
        name: the study's name.
        data: the keys of its data.
        seen: the data set, where it was looked at.
        file: what the file is called, for its first lines.
    """
    chosen: dict[str, Any] = {
        "name": name,
        "seed": 1,
        "data": dict(data),
        "space": {"base": "quick"},
        "trials": _TRIALS,
        "schedule": _SCHEDULE,
        "evaluation": _evaluation(seen),
    }
    head = [
        f"# A study of GANs. What it would do and cost:  ganstudy launch {file} --dry-run",
        f"# Run it, and resume it, with:                 ganstudy launch {file}",
        "# Lines that begin with # show defaults; kimg are thousands of real images shown to the discriminator.",
    ]
    if seen is not None:
        kind = f"{seen.classes} classes" if seen.classes else "no classes, so that the extractor teaches itself"
        counts = f"{len(seen.train.images):,} images to train on"
        head.append(f"# The data: {counts}, {seen.channels} x {seen.size} x {seen.size} pixels, {kind}.")
        if seen.shared:
            head.append("# Too few to hold some out: FIDs are measured against the images that the GAN trains on.")
    return "\n".join([*head, *_lines(study_keys(), chosen, 0)]) + "\n"


def _evaluation(seen: Dataset | None) -> dict[str, Any]:
    """The keys of the evaluation."""
    extractor = extractor_keys(seen) if seen else {}
    return {"count": _COUNT, **extractor, "rung_count": _RUNG_COUNT}


def _lines(keys: tuple[Key, ...], chosen: Mapping[str, Any], depth: int) -> Iterator[str]:
    block = False
    for key in keys:
        value = chosen.get(key.name)
        # Of a key that holds one of many kinds: the keys of the kind that is chosen.
        below = key.variants[(value or key.default)["name"]][1] if key.variants else key.keys
        if depth == 0 and (below or block):
            yield ""
        block = bool(below)
        if below:
            start = "" if value is not None else "# "
            yield from _commented(f"{'  ' * depth}{start}{key.name}:", key.description)
            lines = _lines(below, value or {}, depth + 1)
            yield from lines if value is not None else (_off(line, depth) for line in lines)
        elif value is not None:
            yield from _commented(f"{'  ' * depth}{key.name}: {_scalar(value)}", _comment(key))
        elif not key.required:
            yield from _commented(f"{'  ' * depth}# {key.name}: {_scalar(key.default)}", _comment(key))


def _off(line: str, depth: int) -> str:
    """A line of a block that is a comment as a whole."""
    indent = "  " * depth
    return f"{indent}# {line.removeprefix(indent).replace('# ', '', 1) if line.lstrip().startswith('#') else line}"


def _comment(key: Key) -> str:
    return key.description or (key.type.replace("`", "") if " or " in key.type else "")


def _commented(text: str, comment: str) -> Iterator[str]:
    """The line with its comment behind it, or above it where it is too long for that."""
    if not comment[:2].isupper():  # FID
        comment = comment[:1].lower() + comment[1:]
    if not comment:
        yield text
    elif max(len(text) + 2, _COLUMN) + len(comment) <= _WIDTH:
        yield f"{text:<{_COLUMN - 2}}  # {comment}"
    else:
        indent = text[: len(text) - len(text.lstrip())]
        yield from (f"{indent}# {line}" for line in textwrap.wrap(comment, _WIDTH - 2 - len(indent)))
        yield text


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return str(yaml.safe_dump(value, default_style=None, width=math.inf).removesuffix("...\n").strip())
    return shown(value)


def _looked_at(data: str, size: int | None) -> tuple[dict[str, Any], Dataset | None]:
    """The keys that name the data, and the data set itself where it is at a path."""
    given: dict[str, Any] = {"name": data}
    if is_path(data):
        given = keys_of_path(data, "init")
    elif "path" in SOURCES[data].model_fields:
        raise InvalidInput(
            f"init {quoted(data)}: give the path itself: `ganstudy init photos`, `ganstudy init data.npz`"
        )
    given = sized(given, size)
    source = SOURCES[given["name"]]
    checked = validated(source, given, f"init {data}")
    if "path" not in given:
        return given, None
    seen = checked.load()
    evaluation = Evaluation.model_validate(_evaluation(seen))
    problem = too_few(seen, evaluation, evaluation.extractor.dimension)
    if problem and seen.shared is False:
        shared = given | {"splits": "all"}
        again = validated(source, shared, f"init {data}").load()
        if not too_few(again, evaluation, evaluation.extractor.dimension):
            return shared, again
    if problem:
        raise InvalidInput(f"init {data}: {problem}")
    return given, seen


def _name(stem: str) -> str:
    """A study's name, made from that of its data or file."""
    found = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem.removesuffix(".tar")).strip("-._")[:64]
    return check_name(found or "study")
