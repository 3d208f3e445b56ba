"""How far the audits of one generation have come, so that the next one goes on there."""

from __future__ import annotations

from datetime import datetime

from twin_assets.models.base import TwinModel


class AuditState(TwinModel):
    """What is known of a generation.

    Every change up to `revision` has been compared, but for the entries and points in `open`, which differed.
    The slow pass over everything began at `cycle_began_at`; it has come to the document `documents_after` and
    to the point `points_from`, and is done with one of the two where the flag says so. `covered_at` is when
    the last complete look at everything began; None where there was none.
    """

    collection: str
    revision: int
    open: tuple[str, ...] = ()
    is_full_due: bool = False
    sliced_at: datetime
    cycle_began_at: datetime
    documents_after: str | None = None
    documents_done: bool = False
    points_from: int | str | None = None
    points_done: bool = False
    covered_at: datetime | None = None
