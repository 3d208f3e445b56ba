"""Turns changes, markers and dead letters into message bodies and back: versioned JSON, checked strictly."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from twin_assets.errors import MalformedMessage
from twin_assets.models.base import DataType
from twin_assets.models.change import Change, DeadLetter, Hint, Marker

FORMAT_VERSION = 1
MAX_BODY_BYTES = 64 * 1024
MAX_LETTER_BYTES = 1024 * 1024
MAX_REVISION = 2**53  # a float64, as Qdrant compares, is exact up to here
# Cuts that keep every letter below MAX_LETTER_BYTES, escapes and base64 included.
LONGEST_REASON = 2_000
LONGEST_ENTRY = 4_096
LONGEST_TRACEBACK = 32_000
LONGEST_LETTER_BODY = 256 * 1024
SHOWN_CHARACTERS = 40

T = TypeVar("T")


def encode_change(change: Change) -> bytes:
    """Return a change as a message body. Raises MalformedMessage where `decode` would refuse it."""
    _check_revision("revision", change.revision)
    return _dump(
        "change",
        type=change.type.value,
        entry=change.entry,
        revision=change.revision,
        hint=change.hint.value,
        force=change.force,
    )


def encode_marker(marker: Marker) -> bytes:
    """Return a marker as a message body. Raises MalformedMessage where `decode` would refuse it."""
    _check_revision("position", marker.position)
    return _dump("marker", position=marker.position, sent_at=_time_text(marker.sent_at))


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """Return a dead letter as a message body; over-long parts are cut, so that no letter is refused."""
    body = None if letter.body is None else b64encode(letter.body[:LONGEST_LETTER_BODY]).decode("ascii")
    return _dump(
        "dead_letter",
        stage=letter.stage[:LONGEST_REASON],
        reason=letter.reason[:LONGEST_REASON],
        traceback=letter.traceback[-LONGEST_TRACEBACK:],
        at=_time_text(letter.at),
        type=letter.type and letter.type.value,
        entry=letter.entry and letter.entry[:LONGEST_ENTRY],
        revision=letter.revision,
        body=body,
    )


def decode(body: bytes) -> Change | Marker:
    """Read a message of a change queue. Raises MalformedMessage, in one line, for anything else."""
    fields = _parse(body, MAX_BODY_BYTES)
    kind = fields.get("kind")
    if kind == "change":
        return _build(_change_of, fields)
    if kind == "marker":
        return _build(_marker_of, fields)
    raise MalformedMessage(f"a message of kind {_shown(kind)} does not belong into a queue of changes")


def decode_dead_letter(body: bytes) -> DeadLetter:
    """Read a message of the dead letter queue. Raises MalformedMessage, in one line, for anything else."""
    fields = _parse(body, MAX_LETTER_BYTES)
    if fields.get("kind") != "dead_letter":
        raise MalformedMessage(f"a message of kind {_shown(fields.get('kind'))} is not a dead letter")
    return _build(_letter_of, fields)


def _change_of(fields: dict[str, Any]) -> Change:
    return Change(
        type=_one_of(DataType, fields, "type"),
        entry=_field(fields, "entry", str),
        revision=_check_revision("revision", _field(fields, "revision", int)),
        hint=_one_of(Hint, fields, "hint"),
        force=_field(fields, "force", bool),
    )


def _marker_of(fields: dict[str, Any]) -> Marker:
    position = _check_revision("position", _field(fields, "position", int))
    return Marker(position=position, sent_at=_time(fields, "sent_at"))


def _letter_of(fields: dict[str, Any]) -> DeadLetter:
    entry, body = fields.get("entry"), fields.get("body")
    return DeadLetter(
        stage=_field(fields, "stage", str),
        reason=_field(fields, "reason", str),
        traceback=_field(fields, "traceback", str),
        at=_time(fields, "at"),
        type=None if fields.get("type") is None else _one_of(DataType, fields, "type"),
        entry=None if entry is None else _field(fields, "entry", str),
        revision=_field(fields, "revision", int),
        body=None if body is None else _bytes(_field(fields, "body", str)),
    )


def _dump(kind: str, **fields: object) -> bytes:
    message = {"v": FORMAT_VERSION, "kind": kind, **fields}
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def _parse(body: bytes, limit: int) -> dict[str, Any]:
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
    version = message.get("v")
    if type(version) is not int or version != FORMAT_VERSION:
        raise MalformedMessage(
            f"message format {_shown(version)} is not {FORMAT_VERSION}, the only one this version reads"
        )
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


def _build(model_of: Callable[[dict[str, Any]], T], fields: dict[str, Any]) -> T:
    try:
        return model_of(fields)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise MalformedMessage(f"field {name}: {fault['msg']}") from None


def _field(fields: dict[str, Any], name: str, kind: type[T]) -> T:
    if name not in fields:
        raise MalformedMessage(f"field {name} is missing")
    value = fields[name]
    if type(value) is not kind:
        raise MalformedMessage(f"field {name} is {type(value).__name__}, not {kind.__name__}")
    return value


def _one_of(kind: Callable[[str], T], fields: dict[str, Any], name: str) -> T:
    value = _field(fields, name, str)
    try:
        return kind(value)
    except ValueError:
        raise MalformedMessage(f"field {name}: {_shown(value)} is unknown") from None


def _check_revision(name: str, value: int) -> int:
    if not 0 <= value < MAX_REVISION:
        raise MalformedMessage(f"field {name} is not between 0 and 2^53")
    return value


def _time(fields: dict[str, Any], name: str) -> datetime:
    try:
        time = datetime.fromisoformat(_field(fields, name, str))
    except ValueError:
        raise MalformedMessage(f"field {name} is not a time") from None
    if time.tzinfo is None:
        raise MalformedMessage(f"field {name} has no time zone")
    return time


def _time_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise MalformedMessage("field body is not base64") from None


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
