"""What leaves the source holds no type of the driver."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

from twin_assets.source.plain import to_plain

OBJECT_ID = ObjectId("65f0a1b2c3d4e5f6a7b8c9d0")
DAY = datetime(2024, 5, 1, tzinfo=UTC)


def test_driver_types_become_plain_python_at_any_depth() -> None:
    document = {
        "oid": OBJECT_ID,
        "list": [UUID(int=7), {"decimal": Decimal128("1.50")}],
        "int": Int64(5),
        "code": Code("f()"),
        "regex": Regex("a+"),
        "ref": DBRef("posts", OBJECT_ID),
        "max": MaxKey(),
    }
    plain = to_plain(document)
    assert plain == {
        "oid": str(OBJECT_ID),
        "list": [str(UUID(int=7)), {"decimal": "1.50"}],
        "int": 5,
        "code": "f()",
        "regex": "a+",
        "ref": {"$ref": "posts", "$id": str(OBJECT_ID)},
        "max": "MaxKey()",
    }
    assert type(plain["int"]) is int
    assert type(plain["code"]) is str
    json.dumps(plain)


def test_dates_stay_dates_and_bytes_stay_bytes() -> None:
    assert to_plain(DAY) is DAY
    assert to_plain(Timestamp(int(DAY.timestamp()), 3)) == DAY
    assert type(to_plain(Binary(b"x", 4))) is bytes


def test_a_date_that_python_cannot_hold_becomes_milliseconds() -> None:
    assert to_plain(DatetimeMS(2**60)) == 2**60


def test_none_bool_and_float_stay_what_they_are() -> None:
    assert to_plain([None, True, 1.5]) == [None, True, 1.5]
