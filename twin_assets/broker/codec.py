"""Turns changes, markers and dead letters into message bodies and back: versioned JSON, checked strictly."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from twin_assets.broker.strict_json import bytes_of, field, one_of, parse_object, shown, time_of
from twin_assets.errors import MalformedMessage
from twin_assets.models.change import Change, DeadLetter, Hint, Marker
from twin_assets.models.kinds import DataType

FORMAT_VERSION = 1
MAX_BODY_BYTES = 64 * 1024
MAX_LETTER_BYTES = 1024 * 1024
MAX_REVISION = 2**53  # a float64, as Qdrant compares, is exact up to here
# Cuts that keep every letter below MAX_LETTER_BYTES, escapes and base64 included.
LONGEST_REASON = 2_000
LONGEST_ENTRY = 4_096
LONGEST_TRACEBACK = 32_000
LONGEST_LETTER_BODY = 256 * 1024

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
    as_of = {} if marker.as_of is None else {"as_of": _time_text(marker.as_of)}
    return _dump("marker", position=marker.position, sent_at=_time_text(marker.sent_at), **as_of)


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
    fields = _read(body, limit=MAX_BODY_BYTES)
    kind = fields.get("kind")
    if kind == "change":
        return _build(_change_of, fields)
    if kind == "marker":
        return _build(_marker_of, fields)
    raise MalformedMessage(f"a message of kind {shown(kind)} does not belong into a queue of changes")


def decode_dead_letter(body: bytes) -> DeadLetter:
    """Read a message of the dead letter queue. Raises MalformedMessage, in one line, for anything else."""
    fields = _read(body, limit=MAX_LETTER_BYTES)
    if fields.get("kind") != "dead_letter":
        raise MalformedMessage(f"a message of kind {shown(fields.get('kind'))} is not a dead letter")
    return _build(_letter_of, fields)


def _change_of(fields: dict[str, Any]) -> Change:
    return Change(
        type=one_of(DataType, fields, "type"),
        entry=field(fields, "entry", str),
        revision=_check_revision("revision", field(fields, "revision", int)),
        hint=one_of(Hint, fields, "hint"),
        force=field(fields, "force", bool),
    )


def _marker_of(fields: dict[str, Any]) -> Marker:
    position = _check_revision("position", field(fields, "position", int))
    as_of = time_of(fields, "as_of") if "as_of" in fields else None
    return Marker(position=position, sent_at=time_of(fields, "sent_at"), as_of=as_of)


def _letter_of(fields: dict[str, Any]) -> DeadLetter:
    entry, body = fields.get("entry"), fields.get("body")
    return DeadLetter(
        stage=field(fields, "stage", str),
        reason=field(fields, "reason", str),
        traceback=field(fields, "traceback", str),
        at=time_of(fields, "at"),
        type=None if fields.get("type") is None else one_of(DataType, fields, "type"),
        entry=None if entry is None else field(fields, "entry", str),
        revision=_check_revision("revision", field(fields, "revision", int)),
        body=None if body is None else bytes_of(fields, "body"),
    )


def _dump(kind: str, **fields: object) -> bytes:
    message = {"v": FORMAT_VERSION, "kind": kind, **fields}
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def _read(body: bytes, *, limit: int) -> dict[str, Any]:
    fields = parse_object(body, limit=limit)
    version = fields.get("v")
    if type(version) is not int or version != FORMAT_VERSION:
        raise MalformedMessage(
            f"message format {shown(version)} is not {FORMAT_VERSION}, the only one this version reads"
        )
    return fields


def _build(model_of: Callable[[dict[str, Any]], T], fields: dict[str, Any]) -> T:
    try:
        return model_of(fields)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise MalformedMessage(f"field {name}: {fault['msg']}") from None


def _check_revision(name: str, value: int) -> int:
    if not 0 <= value < MAX_REVISION:
        raise MalformedMessage(f"field {name} is not between 0 and 2^53")
    return value


def _time_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
