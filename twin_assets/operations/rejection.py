"""Dead letters for documents that were refused: why and where, never their text."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime

from twin_assets.errors import DocumentRejected
from twin_assets.models.change import DeadLetter
from twin_assets.operations.batch import Item


def dead_letter(item: Item, rejection: DocumentRejected, *, revision: int) -> DeadLetter:
    """Return the letter for one refused document."""
    return DeadLetter(
        stage=rejection.stage,
        reason=rejection.reason,
        traceback=frames_of(rejection),
        at=datetime.now(UTC),
        type=item.type,
        entry=item.entry,
        revision=revision,
    )


def frames_of(error: BaseException) -> str:
    """Return the traceback of an error and its causes without their messages, which may quote text."""
    parts = []
    current: BaseException | None = error
    while current is not None:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{frames}{type(current).__name__}\n")
        current = current.__cause__
    return "caused by\n".join(parts)
