"""Reads YAML that people wrote: duplicate keys refused, numbers like 1e-4 read as numbers."""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.nearest import nearest
from trainables.yaml_reason import yaml_reason

_SUFFIXES = (".yaml", ".yml")

_MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """The safe loader, strict about keys, and with the plain values of YAML 1.2's core schema.

    In YAML 1.1 `no` is false, `012` is ten, `1:30` is ninety and `1e-4` is a text: none is what people mean.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: a study file has no use for them, and a few lines of them can fill the memory."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not supported", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that appears twice: YAML would silently keep the last."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {quoted(key)} appears twice", node.start_mark)
        return super().construct_mapping(node, deep)


_DIGITS = list("-+.0123456789")
for _tag, _pattern, _first in (
    ("null", r"(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?[0-9]+$", _DIGITS),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$", _DIGITS),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _real(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", loader.construct_scalar(node).lower()))


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return {"true": True, "false": False}[loader.construct_scalar(node).lower()]


_CORE = ("null", "str", "seq", "map")
_Loader.yaml_constructors = {  # and no other: neither dates nor bytes nor sets
    **{f"tag:yaml.org,2002:{tag}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"] for tag in _CORE},
    **{f"tag:yaml.org,2002:{tag}": read for tag, read in (("int", _decimal), ("float", _real), ("bool", _truth))},
    None: yaml.SafeLoader.yaml_constructors[None],
}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in the YAML file `path`.

    Raises:
        InvalidInput: if it cannot be read, is not YAML, or holds something other than keys and values.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}{_nearest(path)}") from None
    except ValueError as error:  # a path that no system has
        raise InvalidInput(f"{path}: cannot be read: {error}") from None
    if len(raw) > _MAX_BYTES:
        raise InvalidInput(f"{path}: larger than {_MAX_BYTES} bytes; is it the right file?")
    data = _parsed(text, f"{path}: not usable YAML")
    if not isinstance(data, dict):
        raise InvalidInput(
            f"{path}: expected keys and values, found {'nothing' if data is None else type(data).__name__}"
        )
    return data


def _nearest(path: Path) -> str:
    """Suggest the YAML file beside a missing one whose name is most like its."""
    try:
        names = [] if path.exists() else [file.name for file in path.parent.iterdir() if file.suffix in _SUFFIXES]
    except OSError:
        return ""
    near = nearest(path.name, sorted(names))
    return f"; did you mean {str(path.with_name(near))!r}?" if near else ""


def parse_value(text: str) -> Any:
    """Return the value of one `--set key=value`, read as YAML.

    Raises:
        InvalidInput: if it is not YAML.
    """
    return _parsed(text, f"--set value {quoted(text)}: not YAML")


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise InvalidInput(f"{where}: too many levels") from None
    except (yaml.YAMLError, ValueError, KeyError) as error:  # the latter from a tag whose value is not of its kind
        raise InvalidInput(f"{where}: {yaml_reason(error)}") from None
