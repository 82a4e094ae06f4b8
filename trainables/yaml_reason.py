"""Why a text is no YAML, in a line: what is wrong and where, and none of the text, which may hold a secret."""

import yaml

from trainables.errors import reason_of


def yaml_reason(error: Exception) -> str:
    """Return what is wrong; PyYAML's own message quotes the line, from its middle on where it is long."""
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return reason_of(error)
    return f"{error.problem or error.context} at line {mark.line + 1}, column {mark.column + 1}"
