"""Addresses in study files: known schemes only, and no passwords, since the file is copied to many places."""

from collections.abc import Collection
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


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
            secret, scheme = parts.password is not None, parts.scheme.split("+")[0]
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
            raise PydanticCustomError("scheme", "use an address that begins with one of {known}", {"known": known})
        return url

    return AfterValidator(check)
