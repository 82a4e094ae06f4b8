"""Why a text is not YAML, in one line: what is wrong and where, without the text, which may hold a secret."""

import yaml

from trainables.errors import reason_of


def yaml_reason(error: Exception) -> str:
    """Return what is wrong; PyYAML's own message would quote the line."""
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return reason_of(error)
    return f"{error.problem or error.context} at line {mark.line + 1}, column {mark.column + 1}"
