"""Dates as people and files write them, to a time in UTC, as MongoDB stores it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any


def as_time(value: Any) -> Any:
    """Return a date or an ISO text as a time in UTC (a time without zone is UTC); anything else as it is."""
    if isinstance(value, str):
        moment = _parsed(value)
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    else:
        return value
    if moment is None:
        return value
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return str(value)


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return None
