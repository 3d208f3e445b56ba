"""The change stream of Amazon DocumentDB, as its documentation has it; never tried on a real one.

At-least-once, as MongoDB's. What a token holds is never read; where there is none yet, a stream goes on
from a time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pymongo.errors
from bson import Timestamp

from twin_assets.errors import ConfigurationError, PositionLost, TwinError
from twin_assets.models.change import REVISION_BITS, revision_of, seconds_of
from twin_assets.models.kinds import DataType
from twin_assets.source.changes import ChangeStream, Position
from twin_assets.source.client import Client, Document, dated_session
from twin_assets.source.events import EventBatch

NOT_ENABLED = "modifyChangeStreams has not been run"
# What was committed just now may come a little later; a silent stream vouches for what is older.
SETTLED_S = 1
# Events bear whole seconds.
EARLIER_S = 1
# A stream that begins at a time is not known to complain where its history no longer reaches back to it, and
# this is how far it reaches if nobody has set more.
REACH_S = int(timedelta(hours=3).total_seconds())


class DocumentDbChangeStream(ChangeStream):
    """A cursor over the changes of the three collections; a context manager, for one thread.

    Raises what ChangeStream raises, and ConfigurationError where change streams are not switched on.
    """

    def __init__(self, client: Client, database: str, position: Position, **options: Any) -> None:
        super().__init__(client, database, position, **options)
        self._vouched = 0

    def _open(self) -> None:
        if self.position.token is None and self._moment() - self.position.revision > REACH_S << REVISION_BITS:
            raise PositionLost(
                f"the change stream cannot go on at {self._stood_at()}: DocumentDB may have forgotten what "
                "came then; everything is published again"
            )
        super()._open()

    def _advance(self, events: EventBatch, wait_s: float) -> bool:
        self._vouched = self._moment() - (SETTLED_S << REVISION_BITS)
        return super()._advance(events, wait_s)

    def _move(self, token: Document | None, events: EventBatch, *, drained: bool) -> None:
        if events.invalidated is not None:
            # There is no `startAfter`: the stream begins at this moment, and all types are published again.
            events.lost.update(DataType)
            self.position = Position(None, self._moment())
            return
        seen = self._vouched if drained else revision_of(seconds_of(events.revision), 0) - 1
        token = token or events.token or self.position.token
        self.position = Position(token, max(self.position.revision, seen))

    def _starting_point(self) -> Document:
        if self.position.token is None:
            return {"startAtOperationTime": Timestamp(seconds_of(self.position.revision) - EARLIER_S, 1)}
        return {"resumeAfter": self.position.token}

    def _lost(self, error: pymongo.errors.OperationFailure) -> TwinError:
        if NOT_ENABLED in str(error):
            return ConfigurationError(
                f"DocumentDB records no changes of {self._database.name} yet: `twin prepare-source` switches "
                "that on"
            )
        return PositionLost(
            f"the change stream cannot go on at {self._stood_at()} (DocumentDB error {error.code}): its log "
            "does not reach back that far; everything is published again, and a longer "
            "change_stream_log_retention_duration, 7 days at most, keeps it from happening"
        )

    def _moment(self) -> int:
        with dated_session(self._client) as (_, moment):
            return moment
