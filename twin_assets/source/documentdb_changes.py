"""The change stream of Amazon DocumentDB, as its documentation has it; never tried on a real one.

At-least-once, as MongoDB's. What a token holds is never read; where there is none yet, a stream goes on from
a time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pymongo.errors
from bson import Timestamp

from twin_assets.errors import ChangesNotRecorded, PositionLost, TwinError
from twin_assets.models.change import revision_of, seconds_of
from twin_assets.models.kinds import DataType
from twin_assets.source.changes import ChangeStream, Position
from twin_assets.source.client import Document, dated_session
from twin_assets.source.documentdb import DocumentDbClient, whole_second
from twin_assets.source.events import EventBatch

NOT_RECORDED = "modifyChangeStreams has not been run"
# What was committed just now may come a little later; a silent stream vouches for what is older.
SETTLED_S = 1
# Events may come late, while a long write holds them up, and bear an earlier time; to see some again is no
# harm.
LATE_S = 3600
SECOND = revision_of(1, 0)


class DocumentDbChangeStream(ChangeStream):
    """A cursor over the changes of the three collections; a context manager, for one thread.

    Raises what ChangeStream raises, and ChangesNotRecorded where change streams are not switched on.
    """

    _vouched = 0

    def _open(self) -> None:
        position = self.position
        if position.token is None:
            starts_at = position.starts_at or position.revision - LATE_S * SECOND
            log_s = cast("DocumentDbClient", self._client).log_s
            # Nothing is known of a complaint where the log does not reach back to the time of a start.
            if seconds_of(self._moment()) - seconds_of(starts_at) > log_s:
                raise PositionLost(
                    f"the change stream cannot go on at {self._stood_at()}: DocumentDB may have forgotten "
                    "what came then (TWIN_MONGODB_LOG_HOURS); everything is published again"
                )
            self.position = replace(position, starts_at=starts_at)
        super()._open()

    def _advance(self, events: EventBatch, wait_s: float) -> bool:
        self._vouched = self._moment() - SETTLED_S * SECOND
        return super()._advance(events, wait_s)

    def _move(self, token: Document | None, events: EventBatch, *, drained: bool) -> None:
        if events.invalidated is not None:
            # There is no `startAfter`: the stream begins about now, and all types are published again.
            events.lost.update(DataType)
            moment = self._moment()
            self.position = Position(None, moment, starts_at=moment - SECOND)
            return
        # Never ahead of the clock that is asked: another one may have stamped the events.
        seen = self._vouched if drained else min(self._vouched, whole_second(events.revision) - 1)
        reached = max(self.position.revision, seen)
        token = token or events.token or self.position.token
        self.position = Position(token, reached, starts_at=None if token else self.position.starts_at)

    def _starting_point(self) -> Document:
        if self.position.token is not None:
            return {"resumeAfter": self.position.token}
        return {"startAtOperationTime": Timestamp(seconds_of(self.position.starts_at or 0), 1)}

    def _lost(self, error: pymongo.errors.OperationFailure) -> TwinError:
        if NOT_RECORDED in str(error):
            return ChangesNotRecorded(self._database.name)
        return PositionLost(
            f"the change stream cannot go on at {self._stood_at()} (DocumentDB error {error.code}): its log "
            "does not reach back that far; everything is published again, and a longer "
            "change_stream_log_retention_duration, 7 days at most, keeps it from happening"
        )

    def _moment(self) -> int:
        with dated_session(self._client) as (_, moment):
            return moment
