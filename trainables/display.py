"""How foreign text is shown: without secrets, and without anything that a terminal or a browser would obey.

Only for showing: names and values in use stay as they are.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

_HIDDEN = "***"

_SECRET_NAME = r"""(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|signature|\bsig
    |(?:access|account|api|private|secret|signing)[_-]?key)"""
_SECRET = re.compile(
    rf"""(?ix)
    (?P<key> {_SECRET_NAME} \s*=\s* | (?<=[?&]) key=          # of a query, or of `key=value` words
           | {_SECRET_NAME} (?P<quote>["'])\s*:\s*            # of a mapping
           | {_SECRET_NAME} :(?=[^\s/]) | [{{,]\s*[\w.-]*{_SECRET_NAME}:\s+
           | \b authorization ["']? \s*[:=]\s* ["']? (?:basic\s|bearer\s)? | \b bearer \s+ (?=[^\s"']{{8}}))
    (?: '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [^\s&]*[^\s&'"()\[\]{{}};,.] | [^\s&]+ )""",
    re.ASCII,
)
_TO_THE_END = re.compile(rf"""(?isx) (?P<key> {_SECRET_NAME} ["']? \s*[=:]\s* | [?&]key=) .+""")
_SECRETLY_NAMED = re.compile(rf"(?ix) {_SECRET_NAME} $")
_FOLDERS = ("PWD", "OLDPWD")  # the shell's working directories
_SHORTEST = 6  # characters: shorter secrets in variables are not looked for, being part of many words
_RUN = re.compile(r"\S+", re.ASCII)
_NO_PORT = re.compile(r"(:/{1,2}(?![/\[])[^\s/?#:@]*:)(?!\d{1,5}(?![\w-]))[^\s/?#'\"]+", re.ASCII)


def printable(text: str, keep: str = "") -> str:
    """Return `text` with every unprintable character escaped, except those in `keep`.

    Unprintable is what Python calls so: controls, terminal sequences, marks that change the reading direction,
    invisible ones, line separators, lone surrogates (from file names that are not UTF-8; they cannot be written).

    >>> print(printable("a\\x1b[2Jb\\u202e"))
    a\\x1b[2Jb\\u202e
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)


def redacted(text: str) -> str:
    """Return `text` without passwords, tokens and keys, and without the user name before a password.

    They are found in addresses, however malformed, in `password=...` and the like, in mappings and in headers.

    >>> redacted("cannot reach http://me:hunter2@host:5000/x?token=abc&a=1")
    'cannot reach http://***@host:5000/x?token=***&a=1'
    """
    text = _NO_PORT.sub(rf"\g<1>{_HIDDEN}", _RUN.sub(lambda run: _without_user(run[0]), text))
    return _SECRET.sub(rf"\g<key>{_HIDDEN}", text)


def shown(text: str) -> str:
    """Return a text of any number of lines, escaped and without secrets.

    The values of environment variables with a secret's name are left out too (`PGPASSWORD`, `RAY_AUTH_TOKEN`).
    """
    text = redacted(text)
    for name, secret in os.environ.items():
        if len(secret) >= _SHORTEST and name not in _FOLDERS and _is_secret(name) and secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _HIDDEN, text)
    return printable(text, keep="\n")


def in_markdown(text: str) -> str:
    """Return a foreign text as words of a Markdown page: no markup, no HTML, no end of a cell or a line.

    >>> print(in_markdown("![x](http://y) <b>|`"))
    !\\[x\\](http://y) &lt;b&gt;\\|'
    """
    escaped = re.sub(r"([\\*\[\]|~])", r"\\\1", printable(redacted(text)).replace("`", "'"))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def one_line(text: str, most: int | None = None) -> str:
    """Return a message as `shown` on one line of at most `most` characters."""
    line = shown(" ".join(text.split()))
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def quoted(value: object, most: int = 80) -> str:
    """Return a user's value as an error shows it: as Python writes it, without secrets, at most `most` characters."""
    text = shown(repr(within(value, _without_secrets)))
    return text if len(text) <= most else f"{text[: most - 24]}...{text[-21:]}"


def within(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with `change` applied to every text in it, and without values under a secret's name."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {within(key, change): _HIDDEN if _is_secret(key) else within(v, change) for key, v in value.items()}
    return [within(one, change) for one in value] if isinstance(value, list | tuple) else value


def _without_user(run: str) -> str:
    """Hide the user and password in an address, `scheme://me:password@host` or `me:password@host`.

    Everything up to the last @, since one in a password is often not encoded.
    """
    head, at, host = run.rpartition("@")
    begun = re.search(r"://(?=[^/])|(?<!models)(?<!:/):(?!//)", head) if at else None
    return f"{head[: begun.end()]}{_HIDDEN}@{host}" if begun else run


def _without_secrets(value: str) -> str:
    """Hide secrets in a single value of a user's, where they may hold spaces and other separators."""
    return redacted(_TO_THE_END.sub(rf"\g<key>{_HIDDEN}", _without_user(value)))


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and _SECRETLY_NAMED.search(name) is not None
