"""Reads YAML that people wrote: duplicate keys refused, numbers like 1e-4 read as numbers."""

import re
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InvalidInput

_MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """YAML 1.1's safe loader, strict about keys and with YAML 1.2's floats."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: a study file has no use for them, and a few lines of them can fill the memory."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not supported", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice, of which YAML would silently keep the last."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in the YAML file `path`.

    Raises:
        InvalidInput: if it cannot be read, is not YAML, or holds something other than keys and values.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidInput(f"{path}: larger than {_MAX_BYTES} bytes; is it the right file?")
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{path}: not usable YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InvalidInput(
            f"{path}: expected keys and values, found {'nothing' if data is None else type(data).__name__}"
        )
    return data


def parse_value(text: str) -> Any:
    """Return the value of one `--set key=value`, read as YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise InvalidInput(f"--set value {text!r}: not YAML: {' '.join(str(error).split())}") from None
