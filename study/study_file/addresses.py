"""Addresses in study files: known schemes only, and no passwords, since the file is copied widely."""

import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import sqlalchemy as sa
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from trainables.paths import absolute

_SECRET = re.compile(r"(?i)^(ssl)?(password|passwd|pwd|secret)$|token$|(access|api|secret)_?key$")
_TOKENS = ("http", "https")  # where a user's name alone may be a token


def located_uri(uri: str) -> str:
    """The address with the path of an SQLite file made absolute; any other as it is.

    Raises:
        InvalidInput: as `absolute`.
    """
    if not uri.startswith("sqlite:///"):
        return uri
    try:
        url = sa.make_url(uri)
    except (sa.exc.ArgumentError, ValueError):  # said where it is used
        return uri
    if not url.database or url.database.startswith("file:"):
        return uri
    return url.set(database=str(absolute(Path(url.database)))).render_as_string(hide_password=False)


def database_file(uri: str) -> Path | None:
    """Return the file behind `uri` (absolute), None if it is a server's."""
    url = sa.make_url(uri) if uri.startswith("sqlite") else None
    return Path(str(url.database)) if url is not None else None


def address(schemes: Collection[str], password_goes: str) -> AfterValidator:
    """Return a validator of URLs.

    Args:
        schemes: those allowed, without driver (`postgresql` allows `postgresql+psycopg`).
        password_goes: where a password belongs instead.
    """

    def check(url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            scheme = parts.scheme.split("+")[0]
            secret = parts.password is not None or any(_SECRET.search(key) for key, _ in parse_qsl(parts.query))
            secret = secret or (scheme in _TOKENS and parts.username is not None)
        except ValueError:
            raise PydanticCustomError("secret", "is not a URL") from None
        if secret:
            raise PydanticCustomError(
                "secret",
                "holds a password, and this file is copied to the ledger and to MLflow; use {instead}",
                {"instead": password_goes},
            )
        if scheme not in schemes or not (parts.netloc or parts.path):
            known = ", ".join(f"{scheme}://" for scheme in schemes)
            if "@" in url:  # then part of it may be a password: do not show it
                raise PydanticCustomError("secret", "must begin with one of {known}", {"known": known})
            raise PydanticCustomError("scheme", "use an address that begins with one of {known}", {"known": known})
        return url

    return AfterValidator(check)
