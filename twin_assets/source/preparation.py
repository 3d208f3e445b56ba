"""Makes a server ready for us: our user with its few rights, and change streams where one has to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri

from twin_assets.errors import ConfigurationError
from twin_assets.source.client import Client, translate_errors
from twin_assets.source.documentdb import is_documentdb

ALREADY_THERE = frozenset({51003, 11000})


@dataclass(frozen=True)
class Login:
    """A user of MongoDB; its password is shown nowhere."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


def login_of(url: str) -> Login:
    """Return the user that a URL names. Raises ConfigurationError where it names none with a password."""
    parts: dict[str, Any] = parse_uri(url, connect_timeout=5)
    if not parts["username"] or not parts["password"]:
        raise ConfigurationError("TWIN_MONGODB_URL names no user with a password, so there is none to make")
    return Login(parts["username"], parts["password"])


def make_user(admin: Client, login: Login, *, database: str, meta_database: str, may_write: bool) -> None:
    """Make the user, or give the one that is there this password and these rights and no others.

    It reads the documents, and writes them too where it `may_write`; our own records it writes in any case.
    """
    roles = [
        {"role": "readWrite" if may_write else "read", "db": database},
        {"role": "readWrite", "db": meta_database},
    ]
    fields = {"pwd": login.password, "roles": roles}
    with translate_errors(admin):
        try:
            admin.admin.command({"createUser": login.user, **fields})
        except OperationFailure as error:
            if error.code not in ALREADY_THERE:
                raise
            admin.admin.command({"updateUser": login.user, **fields})


def enable_changes(admin: Client, database: str) -> bool:
    """Have DocumentDB record the changes of a database; return False for MongoDB, which always does."""
    if not is_documentdb(admin):
        return False
    with translate_errors(admin):
        admin.admin.command(
            {"modifyChangeStreams": 1, "database": database, "collection": "", "enable": True}
        )
    return True
