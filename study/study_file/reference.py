"""Writes the study file's reference from its model: `python -m study.study_file.reference > docs/study-file.md`."""

import json
from collections.abc import Iterable, Iterator

from study.study_file.keys import Key, study_keys

_HEAD = """# The study file

Made from the model that reads it by `python -m study.study_file.reference > docs/study-file.md`; a test compares them.
`ganstudy init DATA` writes a file with all of this as comments, `ganstudy launch FILE --dry-run` shows one with
every default filled in, and `--set key.subkey=value` overrides a key on the command line.

A file is YAML 1.2: plain values only, no aliases, no key twice. An unknown key, a value out of range and settings
that do not go together are refused before any work, each in one line. A path may begin with `~`; a relative one is
taken from the folder in which `ganstudy launch` is typed, and recorded as an absolute one. "On relaunch" says whether
a key may differ when a study that has begun is launched again.
"""


def reference() -> str:
    """Return the page, Markdown."""
    top = study_keys()
    simple = [key for key in top if not key.keys and not key.variants]
    parts = [_HEAD, "## Keys of the file itself\n", _table(simple)]
    for key in top:
        parts += _section(key, 2)
    return "\n".join(parts)


def _section(key: Key, level: int) -> Iterator[str]:
    """A key that holds keys, and below it those that hold keys themselves."""
    if not key.keys and not key.variants:
        return
    need = "Required" if key.required else "Optional"
    yield f"{'#' * level} `{key.path}`\n"
    told = [f"{key.description[:1].upper()}{key.description[1:]}"] if key.description else []
    yield ". ".join([*told, f"{need}; on relaunch: {key.change}"]) + ".\n"
    if key.keys:
        yield _table([sub for sub in key.keys if not sub.keys and not sub.variants])
    for sub in key.keys:
        yield from _section(sub, level + 1)
    for name, (what, keys) in key.variants.items():
        yield f"{'#' * (level + 1)} `{key.path}: {{name: {name}}}`\n"
        yield f"{what}.\n"
        others = [sub for sub in keys if sub.name != "name"]
        if others:
            yield _table(others)


def _table(keys: Iterable[Key]) -> str:
    lines = ["| key | takes | default | meaning | on relaunch |", "|---|---|---|---|---|"]
    for key in keys:
        limits = f", {key.range}" if key.range else ""
        default = "required" if key.required else "-" if key.default is None else f"`{shown(key.default)}`"
        cells = (f"`{key.path}`", f"{key.type}{limits}", default, key.description, key.change)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def shown(value: object) -> str:
    """Return a plain value as YAML in one line."""
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    print(reference(), end="")
