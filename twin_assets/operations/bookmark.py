"""Where capture stands: when a marker is due, and when the position is saved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twin_assets.errors import QueuesMissing
from twin_assets.faults import FaultPoint, fault_point
from twin_assets.models.change import Marker
from twin_assets.source.changes import Position

if TYPE_CHECKING:
    from twin_assets.operations.twin import Twin

# A stop may have to wait as long as the server is asked to.
LONGEST_WAIT_S = 0.25
DRAINED_MARKER_INTERVAL_S = 0.2
LONGEST_UNSAVED_S = 10.0
# While the stream is away its queues shall fill with changes, not with markers.
MOST_UNSEEN_MARKERS = 30


class Bookmark:
    """Holds the position behind everything that is published; `has_progress` once a token was saved.

    A marker goes to all queues at every interval, and at once where the stream has just been drained.
    """

    def __init__(self, twin: Twin, clock: Callable[[], float]) -> None:
        self._twin = twin
        self._clock = clock
        self._has_unmarked_changes = False
        self._marked_at = self._saved_at = clock()
        self._unseen: list[int] = []
        self.position = Position(None, 0)
        self.has_progress = False

    def start(self, position: Position) -> None:
        """Begin at a position that is saved, or about to be marked."""
        self.position = position
        self.has_progress = self._has_unmarked_changes = False
        # Those may have been lost together with their queues, and would be waited for without end.
        self._unseen = []

    def move(self, position: Position, *, changed: bool, drained: bool) -> None:
        """Take in where the stream stands after a batch, and mark or save it where that is due."""
        self.position = position
        self._has_unmarked_changes |= changed
        now = self._clock()
        if now - self._marked_at >= self._marker_interval_s(drained=drained):
            self.mark()
            self._has_unmarked_changes &= not drained
        elif now - self._saved_at >= LONGEST_UNSAVED_S:
            self.save()

    def mark(self) -> None:
        """Send a marker with the position to all queues, unless many wait there, then save the position."""
        seen = self._twin.meta.watermark(self._twin.settings.rabbitmq_queues) or 0
        self._unseen = [position for position in self._unseen if position > seen]
        if len(self._unseen) < MOST_UNSEEN_MARKERS:
            position, sent_at = self.position, datetime.now(UTC)
            marker = Marker(position=position.revision, sent_at=sent_at, as_of=position.as_of)
            self._twin.publisher.publish_marker(marker)
            self._unseen.append(marker.position)
        elif missing := self._twin.publisher.queues_missing():
            # No marker would meet the gap, and without changes nothing else would.
            raise QueuesMissing("TWIN_RABBITMQ_URL", missing)
        self._marked_at = self._clock()
        self.save()

    def save(self) -> None:
        """Save the position; everything before it is confirmed."""
        self._twin.meta.save_position(self.position)
        fault_point(FaultPoint.POSITION_SAVED)
        self._saved_at = self._clock()
        self.has_progress |= self.position.token is not None

    def wait_s(self) -> float:
        """Return how long the stream may wait for a change before a marker is due."""
        due_at = self._marked_at + self._marker_interval_s(drained=True)
        return min(LONGEST_WAIT_S, max(0.0, due_at - self._clock()))

    def _marker_interval_s(self, *, drained: bool) -> float:
        interval_s = self._twin.settings.marker_interval_s
        is_news = drained and self._has_unmarked_changes
        return min(interval_s, DRAINED_MARKER_INTERVAL_S) if is_news else interval_s
