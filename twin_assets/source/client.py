"""The door to MongoDB: one way to connect, and one translation of the driver's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pymongo.errors
from bson import CodecOptions, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from twin_assets.errors import (
    ClusterReplaced,
    ClusterTimeUnknown,
    ConfigurationError,
    SourceUnavailable,
)
from twin_assets.models.change import revision_of
from twin_assets.source.documentdb import DocumentDbClient, ask_moment, is_documentdb

Dialect = Literal["mongodb", "documentdb"]
Document = dict[str, Any]
Client = MongoClient[Document]

# Whatever the documents hold must be readable: broken UTF-8 and dates beyond the year 9999 included.
CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
MAJORITY_READ = ReadConcern("majority")
MAJORITY_WRITE = WriteConcern("majority")
LABELLED = (pymongo.errors.OperationFailure, pymongo.errors.ConnectionFailure)
# A driver that knows of a later election never takes this primary; nothing but a new client does.
STALE = "primary marked stale"
# A driver sends the latest time that it was told, and where users log in, a server wants to know its key. It
# has none yet just after its start, and never that of another replica set: until its own time is later.
KEY_NOT_FOUND = 211
UNAUTHORIZED_CODES = frozenset({13, 18, 8000})
# Elections, shutdowns, killed cursors and time limits; the driver has no class of its own for them.
TRANSIENT_CODES = frozenset(
    {6, 7, 24, 43, 50, 64, 89, 91, 112, 133, 134, 189, 202, 216, 237, 246, 251, 262, 290, 317, 384, 461}
    | {KEY_NOT_FOUND, 9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436}
)


def connect(url: str, *, dialect: Dialect = "mongodb", log_hours: float = 3, timeout_s: float = 5) -> Client:
    """Return a client that has reached the primary of a replica set; whoever called it closes it.

    `log_hours` is how long DocumentDB keeps changes.
    Raises SourceUnavailable where nothing answers, ConfigurationError where the URL is wrong, access is
    denied, or the server is not a member of a replica set (change streams need one).
    """
    timeout_ms = int(timeout_s * 1000)
    is_other = dialect == "documentdb"
    kind = DocumentDbClient if is_other else MongoClient[Document]
    options: Document = {"retryWrites": False} if is_other else {}
    try:
        client: Client = kind(
            url,
            appname="twin_assets",
            serverSelectionTimeoutMS=timeout_ms,
            connectTimeoutMS=timeout_ms,
            w="majority",
            readConcernLevel="majority",
            readPreference="primary",
            tz_aware=True,
            **options,
        )
    except (pymongo.errors.ConfigurationError, ValueError) as error:
        raise ConfigurationError(f"TWIN_MONGODB_URL: {_short(error)}") from None
    except OSError as error:
        raise ConfigurationError(
            f"a certificate file that TWIN_MONGODB_URL names cannot be read ({error.strerror or error})"
        ) from error
    if isinstance(client, DocumentDbClient):
        client.log_s = log_hours * 3600
    try:
        _check_replica_set(client, timeout_s)
    except BaseException:
        client.close()
        raise
    return client


def address_of(client: Client) -> str:
    """Return `host:port,host:port` without credentials."""
    servers = client.topology_description.server_descriptions()
    return ",".join(sorted(f"{host}:{port}" for host, port in servers))


@contextmanager
def translate_errors(client: Client | None = None) -> Iterator[None]:
    """Turn what the driver raises about servers into an error of ours.

    That is SourceUnavailable, ClusterReplaced or ConfigurationError. An error of one request (a duplicate
    key, a document that is too large) passes as it is.
    """
    try:
        yield
    except pymongo.errors.PyMongoError as error:
        where = address_of(client) if client else "TWIN_MONGODB_URL"
        if STALE in str(error):
            raise ClusterReplaced(where) from error
        if _code_of(error) == KEY_NOT_FOUND:
            raise ClusterTimeUnknown(where) from error
        if is_transient(error):
            raise SourceUnavailable(where, _short(error)) from error
        if _code_of(error) in UNAUTHORIZED_CODES:
            raise ConfigurationError(
                f"MongoDB at {where} denies access ({_short(error)}); check the user in TWIN_MONGODB_URL"
            ) from error
        if "Causal consistency" in str(error):
            raise ConfigurationError(
                f"the server at {where} has no causal consistency; if it is Amazon DocumentDB, set "
                "TWIN_MONGODB_DIALECT=documentdb"
            ) from error
        raise


def is_transient(error: pymongo.errors.PyMongoError) -> bool:
    """Say whether the same request may succeed later, without anybody changing anything but the servers."""
    if isinstance(error, pymongo.errors.ConnectionFailure | pymongo.errors.ExecutionTimeout):
        return True
    if _code_of(error) in TRANSIENT_CODES:
        return True
    labels = ("TransientTransactionError", "ResumableChangeStreamError", "RetryableWriteError")
    return isinstance(error, LABELLED) and any(error.has_error_label(label) for label in labels)


def database_of(client: Client, name: str) -> Database[Document]:
    """Return a database read and written by majority on the primary, whatever the URL says."""
    return client.get_database(
        name,
        codec_options=CODEC,
        read_preference=ReadPreference.PRIMARY,
        read_concern=MAJORITY_READ,
        write_concern=MAJORITY_WRITE,
    )


@contextmanager
def dated_session(client: Client) -> Iterator[tuple[ClientSession, int]]:
    """Yield a session and its revision R: majority reads inside are at least as new as R.

    R is the primary's operationTime, taken first; the driver then sends it as afterClusterTime. Of DocumentDB
    it is the primary's wall clock.
    """
    has_moments = is_documentdb(client)
    with translate_errors(client), client.start_session(causal_consistency=not has_moments) as session:
        yield session, ask_moment(client, session) if has_moments else _operation_time(client, session)


def _operation_time(client: Client, session: ClientSession) -> int:
    client.admin.command("ping", session=session, read_preference=ReadPreference.PRIMARY)
    if session.operation_time is None:
        raise _not_a_replica_set(client)
    return timestamp_revision(session.operation_time)


def timestamp_revision(timestamp: Timestamp) -> int:
    """Return the revision of a cluster time."""
    return revision_of(timestamp.time, timestamp.inc)


def _check_replica_set(client: Client, timeout_s: float) -> None:
    with translate_errors(client):
        hello = client.admin.command("hello")
    if not hello.get("setName"):
        raise _not_a_replica_set(client)
    if not hello.get("isWritablePrimary"):
        raise SourceUnavailable(address_of(client), f"no primary within {timeout_s:g} s")


def _not_a_replica_set(client: Client) -> ConfigurationError:
    return ConfigurationError(
        f"MongoDB at {address_of(client)} is not a replica set, and change streams need one; start mongod "
        "with --replSet and call rs.initiate(), or use `twin up`"
    )


def _code_of(error: Exception) -> int | None:
    return error.code if isinstance(error, pymongo.errors.OperationFailure) else None


def _short(error: Exception) -> str:
    """Return the first clause of an error: the driver appends the topology and the whole reply."""
    text = str(error).partition(", full error:")[0].partition(", Topology Description:")[0]
    return text.partition(", Timeout:")[0].replace("\n", " ")[:300]
