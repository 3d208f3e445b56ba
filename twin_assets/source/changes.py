"""The change stream of one database: which documents changed, and nothing of what they hold.

At-least-once: a stream opened from a position yields everything after it again, in the order of commits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import pymongo.errors
from bson import Int64, Timestamp

from twin_assets.errors import PositionLost, SourceUnavailable, TwinError
from twin_assets.models.change import REVISION_BITS, Change, DeadLetter, revision_of, seconds_of
from twin_assets.models.kinds import DataType
from twin_assets.source.client import CODEC, Client, Document, database_of, translate_errors
from twin_assets.source.clock import ServerClock
from twin_assets.source.events import EVENT_PIPELINE, EventBatch

DRAIN_LIMIT_S = 0.02
TIMESTAMP_MARK = "82"


@dataclass(frozen=True)
class Position:
    """Where to go on: behind `token`, or at the cluster time `revision` where there is none yet.

    Every change up to `revision` stands before it, and every one committed before `as_of` by MongoDB's wall
    clock. `start_after` follows an invalidated stream. `starts_at` is the revision where a stream of
    DocumentDB without a token begins: before `revision`, since its events may come late.
    """

    token: Document | None
    revision: int
    start_after: bool = False
    as_of: datetime | None = field(default=None, compare=False)
    starts_at: int | None = None


@dataclass(frozen=True)
class ChangeBatch:
    """Changes in the order of commits, and where to go on once all of it is dealt with.

    `lost` names types whose collection was dropped or renamed: what they held is not listed. `drained` says
    that the server had no more. `commit_times` holds when each document (by key) was last changed, by
    MongoDB's wall clock.
    """

    changes: list[Change]
    lost: frozenset[DataType]
    unsupported: list[DeadLetter]
    position: Position
    drained: bool
    commit_times: Mapping[str, datetime] = field(default_factory=dict)


class ChangeStream:
    """A cursor over the changes of the three collections; a context manager, for one thread.

    Raises PositionLost where the position cannot be resumed, SourceUnavailable for every outage: open another
    stream from the last position then.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        position: Position,
        *,
        limit: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.position = position
        self._client = client
        self._database = database_of(client, database)
        self._limit = limit
        self._clock = clock
        self._server_clock = ServerClock(client)
        self._asked_at: datetime | None = None
        with translate_errors(client):
            self._session = client.start_session(causal_consistency=False)
        self._cursor_id = 0

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._session.end_session()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A server that is down has no cursor to close, and asking it takes seconds.
        with suppress(pymongo.errors.PyMongoError):
            if self._cursor_id and not isinstance(error, SourceUnavailable):
                cursors = [Int64(self._cursor_id)]
                self._database.command(
                    {"killCursors": "$cmd.aggregate", "cursors": cursors}, session=self._session
                )
        self._session.end_session()

    def next_batch(self, wait_s: float) -> ChangeBatch:
        """Return what is at hand, at most `limit` changes; wait up to `wait_s` for the first one."""
        if not self._cursor_id:
            self._open()
        events = EventBatch()
        drained = self._advance(events, wait_s)
        if drained:
            # Asked anew without waiting: what was found to be all is as of now, not of before the wait.
            drained = self._advance(events, 0)
        deadline = self._clock() + DRAIN_LIMIT_S
        while not drained and self._cursor_id and len(events) < self._limit and self._clock() < deadline:
            drained = self._advance(events, 0)
        # Right behind changes it is their own age that counts, with what it took them to get here.
        self.position = replace(self.position, as_of=events.committed_at or self._asked_at)
        return ChangeBatch(
            changes=events.changes,
            lost=frozenset(events.lost),
            unsupported=events.unsupported,
            position=self.position,
            drained=drained,
            commit_times=events.commit_times,
        )

    def _open(self) -> None:
        stage = {"$changeStream": self._starting_point()}
        reply = self._run(
            {
                "aggregate": 1,
                "pipeline": [stage, *EVENT_PIPELINE],
                "cursor": {"batchSize": 0},
                "readConcern": {"level": "majority"},
            }
        )
        self._cursor_id = int(reply["cursor"]["id"])

    def _advance(self, events: EventBatch, wait_s: float) -> bool:
        """Take one reply of the server; return whether it was empty, so that nothing is left before now."""
        self._asked_at = self._server_clock.now()
        reply = self._run(
            {
                "getMore": Int64(self._cursor_id),
                "collection": "$cmd.aggregate",
                "batchSize": self._limit - len(events),
                "maxTimeMS": max(1, int(wait_s * 1000)),
            }
        )["cursor"]
        self._cursor_id = int(reply["id"])
        found: list[Document] = reply["nextBatch"]
        for event in found:
            events.add(event)
        self._move(reply.get("postBatchResumeToken"), events, drained=not found)
        return not found

    def _move(self, token: Document | None, events: EventBatch, *, drained: bool) -> None:
        if events.invalidated is not None:
            self.position = Position(
                events.invalidated, self._reached(None, events, drained=True), start_after=True
            )
        elif token is not None and token != self.position.token:
            self.position = Position(token, self._reached(token, events, drained=drained))
        elif drained:
            self.position = Position(
                self.position.token, self._reached(token, events, drained=True), self.position.start_after
            )

    def _reached(self, token: Document | None, events: EventBatch, *, drained: bool) -> int:
        """Return the revision up to which everything has been seen.

        All events of one transaction share a cluster time: while more may follow, only what lies before that
        time is complete.
        """
        seen = token_revision(token)
        if seen is None:
            seen = events.revision
        return max(self.position.revision, seen if drained else seen - 1)

    def _starting_point(self) -> Document:
        position = self.position
        if position.token is None:
            increment = position.revision & ((1 << REVISION_BITS) - 1)
            return {"startAtOperationTime": Timestamp(seconds_of(position.revision), increment)}
        return {"startAfter" if position.start_after else "resumeAfter": position.token}

    def _run(self, command: Document) -> dict[str, Any]:
        try:
            with translate_errors(self._client):
                return self._database.command(command, codec_options=CODEC, session=self._session)
        except pymongo.errors.OperationFailure as error:
            raise self._lost(error) from error

    def _lost(self, error: pymongo.errors.OperationFailure) -> TwinError:
        return PositionLost(
            f"the change stream cannot go on at {self._stood_at()} (MongoDB error {error.code}): the oplog "
            "does not reach back that far; everything is published again, and a bigger oplog "
            "(replSetResizeOplog) keeps it from happening"
        )

    def _stood_at(self) -> str:
        return time.strftime("%F %T UTC", time.gmtime(seconds_of(self.position.revision)))


def token_revision(token: Document | None) -> int | None:
    """Return the cluster time that a resume token begins with, None where it is of an unknown form.

    The token is a hex key string: the mark of a timestamp, then 4 bytes of seconds and 4 of increment.
    """
    data = token.get("_data") if token else None
    if not isinstance(data, str) or not data.startswith(TIMESTAMP_MARK) or len(data) < 18:
        return None
    try:
        return revision_of(int(data[2:10], 16), int(data[10:18], 16))
    except ValueError:
        return None
