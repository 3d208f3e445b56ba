"""What Amazon DocumentDB, which speaks MongoDB's protocol, does otherwise; docs/documentdb.md says why.

It knows no causal consistency, so no read can be placed among the cluster times of its commits. A revision is
a moment of the primary's wall clock instead, in ms, asked before the read: a read that follows a change bears
a later moment than every read that may have missed the change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession

from twin_assets.errors import SourceUnavailable
from twin_assets.models.change import revision_of, seconds_of

# A commit may be stamped by another of the cluster's clocks than the one that is asked.
APART_S = 5
PAUSE_S = 0.001


class DocumentDbClient(MongoClient[dict[str, Any]]):
    """A client of DocumentDB: whoever holds one asks for nothing that DocumentDB refuses.

    `log_s` is how long the cluster keeps changes.
    """

    log_s: float = 3 * 3600


def is_documentdb(client: MongoClient[dict[str, Any]]) -> bool:
    """Say which of the two a client was opened for."""
    return isinstance(client, DocumentDbClient)


def ask_moment(client: MongoClient[dict[str, Any]], session: ClientSession) -> int:
    """Return the primary's wall clock as a revision.

    Raises SourceUnavailable where it is no primary that answers, as through a tunnel that leads to a reader:
    what it reads may be behind its clock. The driver's errors pass as they are.
    """
    reply = client.admin.command("hello", session=session, read_preference=ReadPreference.PRIMARY)
    if not reply.get("isWritablePrimary"):
        raise SourceUnavailable("TWIN_MONGODB_URL", "a reader of DocumentDB answers, and not its primary")
    told: datetime = reply["localTime"]
    return revision_of(int(told.timestamp()), told.microsecond // 1000)


def whole_second(revision: int) -> int:
    """Return the begin of a revision's second: the rest of a cluster time is a number, and no moment."""
    return revision_of(seconds_of(revision), 0)


def await_moment(
    client: MongoClient[dict[str, Any]],
    session: ClientSession,
    *,
    behind: int,
    at_least: int,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Return a moment later than `behind`, and not before `at_least` where that is seconds ahead at most.

    Raises SourceUnavailable where the clock does not get there, the driver's errors as they are.
    """
    until_s = clock() + 2 * APART_S
    is_near = seconds_of(at_least) - seconds_of(behind) <= APART_S
    while True:
        moment = ask_moment(client, session)
        if moment > behind and (moment >= at_least or not is_near):
            return moment
        if clock() >= until_s:
            raise SourceUnavailable("TWIN_MONGODB_URL", "the clock of DocumentDB's primary stands still")
        pause(PAUSE_S)
