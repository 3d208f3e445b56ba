"""Documents as the tests store them, and `_id`s of each kind."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from bson import Int64, ObjectId

# What rests on MongoDB's operation times, resume tokens or `startAfter`.
MONGODB_ONLY = pytest.mark.parametrize("client", ["mongodb"], indirect=True)

IDS_AND_ENTRIES: list[tuple[Any, str]] = [
    (ObjectId("65f0a1b2c3d4e5f6a7b8c9d0"), "oid:65f0a1b2c3d4e5f6a7b8c9d0"),
    (UUID("12345678-1234-5678-1234-567812345678"), "uuid:12345678-1234-5678-1234-567812345678"),
    (1, "int:1"),
    ("1", "str:1"),
    (Int64(-(2**63)), "int:-9223372036854775808"),
    (2**63 - 1, "int:9223372036854775807"),
    ("", "str:"),
    ("a:b/ç\x00", "str:a:b/ç\x00"),
]
UNSUPPORTED_IDS: list[Any] = [True, 1.5, {"k": 1}, b"bytes", "x" * 2000]


def post(document_id: Any, text: str = "hello") -> dict[str, Any]:
    return {"_id": document_id, "platform": "web", "author_id": "a1", "content": {"text": text}}
