"""BSON to plain Python: what leaves this layer holds no type of the driver."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bson import DBRef, Regex, Timestamp
from bson.datetime_ms import DatetimeMS


def to_plain(value: Any) -> Any:
    """Return a value as dict, list, str, int, float, bool, datetime, bytes or None, nested alike.

    A date that Python cannot hold becomes its milliseconds since the epoch.
    """
    match value:
        case dict():
            return {str(name): to_plain(field) for name, field in value.items()}
        case list():
            return [to_plain(item) for item in value]
        case None | bool() | float() | datetime():
            return value
        case bytes():
            return bytes(value)
        case int():
            return int(value)
        case _:
            return _special(value)


def _special(value: Any) -> Any:
    match value:
        case Timestamp():
            return value.as_datetime()
        case DatetimeMS():
            return int(value)
        case DBRef():
            return to_plain(value.as_doc().to_dict())
        case Regex():
            return to_plain(value.pattern)
        case _:
            return str(value)
