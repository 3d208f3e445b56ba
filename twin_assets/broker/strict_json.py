"""Reads JSON that anyone may have sent: each deviation is a MalformedMessage of one line without its text."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from twin_assets.errors import MalformedMessage

SHOWN_CHARACTERS = 40

T = TypeVar("T")


def parse_object(body: bytes, *, limit: int) -> dict[str, Any]:
    """Read a JSON object of at most `limit` bytes: UTF-8, no field twice, no NaN."""
    if len(body) > limit:
        raise MalformedMessage(f"a message of {len(body)} bytes is longer than {limit}")
    try:
        message = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique_fields, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"not a JSON message: {_reason(error)}") from error
    if not isinstance(message, dict):
        raise MalformedMessage(f"a message is a JSON object, not {type(message).__name__}")
    return message


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).partition("; ")[0]


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice in one object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def field(fields: dict[str, Any], name: str, kind: type[T]) -> T:
    """Return a field that must be there and of exactly this kind: True is no int."""
    if name not in fields:
        raise MalformedMessage(f"field {name} is missing")
    value = fields[name]
    if type(value) is not kind:
        raise MalformedMessage(f"field {name} is {type(value).__name__}, not {kind.__name__}")
    return value


def one_of(kind: Callable[[str], T], fields: dict[str, Any], name: str) -> T:
    """Return a field that names a member of an enum."""
    value = field(fields, name, str)
    try:
        return kind(value)
    except ValueError:
        raise MalformedMessage(f"field {name}: {shown(value)} is unknown") from None


def time_of(fields: dict[str, Any], name: str) -> datetime:
    """Return a field that is an ISO time with its zone."""
    try:
        time = datetime.fromisoformat(field(fields, name, str))
    except ValueError:
        raise MalformedMessage(f"field {name} is not a time") from None
    if time.tzinfo is None:
        raise MalformedMessage(f"field {name} has no time zone")
    return time


def bytes_of(fields: dict[str, Any], name: str) -> bytes:
    """Return a field that is bytes in base64."""
    try:
        return b64decode(field(fields, name, str), validate=True)
    except ValueError:
        raise MalformedMessage(f"field {name} is not base64") from None


def shown(value: object) -> str:
    """Return a value, or what kind it is, as short as a line of an error wants it."""
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
