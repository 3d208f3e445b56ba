from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.broker.codec import (
    MAX_BODY_BYTES,
    MAX_LETTER_BYTES,
    MAX_REVISION,
    decode,
    decode_dead_letter,
    encode_change,
    encode_dead_letter,
    encode_marker,
)
from twin_assets.errors import MalformedMessage
from twin_assets.models.base import ENTRY_MAX_LENGTH
from twin_assets.models.change import Change, DeadLetter, Hint, Marker
from twin_assets.models.kinds import DataType
from twin_assets_tests.broker.builders import AT, change, letter, marker

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)
ENTRIES = st.builds(
    lambda kind, name: f"{kind}:{name}"[:ENTRY_MAX_LENGTH],
    st.sampled_from(["oid", "str", "int", "uuid"]),
    TEXTS,
)
REVISIONS = st.integers(0, MAX_REVISION - 1)
TIMES = st.datetimes(timezones=st.just(UTC))
CHANGES = st.builds(
    Change,
    type=st.sampled_from(DataType),
    entry=ENTRIES,
    revision=REVISIONS,
    hint=st.sampled_from(Hint),
    force=st.booleans(),
)
LETTERS = st.builds(
    DeadLetter,
    stage=TEXTS,
    reason=TEXTS,
    traceback=TEXTS,
    at=TIMES,
    type=st.none() | st.sampled_from(DataType),
    entry=st.none() | ENTRIES,
    revision=REVISIONS,
    body=st.none() | st.binary(max_size=300),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
FIELDS = ["v", "kind", "type", "entry", "revision", "hint", "force", "position", "sent_at"]


def body_with(**fields: object) -> bytes:
    known = json.loads(encode_change(change(1)))
    return json.dumps(known | fields).encode()


def refusal(body: bytes) -> str:
    with pytest.raises(MalformedMessage) as caught:
        decode(body)
    return str(caught.value)


@given(CHANGES)
def test_a_change_comes_back_as_it_was(original: Change) -> None:
    assert decode(encode_change(original)) == original


@given(st.builds(Marker, position=REVISIONS, sent_at=TIMES, as_of=st.none() | TIMES))
def test_a_marker_comes_back_as_it_was(original: Marker) -> None:
    assert decode(encode_marker(original)) == original


@given(LETTERS)
def test_a_dead_letter_comes_back_as_it_was(original: DeadLetter) -> None:
    assert decode_dead_letter(encode_dead_letter(original)) == original


@given(st.binary(max_size=400))
def test_any_bytes_are_a_typed_error_at_worst(body: bytes) -> None:
    for read in (decode, decode_dead_letter):
        with pytest.raises(MalformedMessage) as caught:
            read(body)
        assert "\n" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES))
def test_any_fields_are_a_message_or_a_typed_error(fields: dict[str, object]) -> None:
    body = body_with(**fields)
    try:
        assert isinstance(decode(body), Change | Marker)
    except MalformedMessage as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not a JSON message"),
        (b"\xff\xfe{}", "byte 0 is not UTF-8"),
        ("{}".encode("utf-16"), "byte 0 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 12_000, "nested too deeply"),
        (b'{"v":' + b"9" * 5_000 + b"}", "not a JSON message"),
        (b'{"v":1,"v":1}', "twice"),
        (b'{"v":1,"kind":"change","x":{"a":1,"a":2}}', "twice"),
        (b'{"v":NaN}', "NaN is not a JSON number"),
        (b'{"v":-Infinity}', "-Infinity is not a JSON number"),
        (b'"text"', "not str"),
        (b"[1]", "not list"),
        (b"null", "not NoneType"),
        (b"{}", "message format None is not 1"),
        (b" " * (MAX_BODY_BYTES + 1), f"longer than {MAX_BODY_BYTES}"),
        (body_with(v=2), "message format 2 is not 1"),
        (body_with(v=True), "message format True is not 1"),
        (body_with(v=1.0), "message format 1.0 is not 1"),
        (body_with(kind="order"), "kind 'order'"),
        (body_with(kind="dead_letter"), "kind 'dead_letter'"),
        (body_with(kind=["x" * 999]), "kind list"),
        (body_with(type="videos"), "field type: 'videos' is unknown"),
        (body_with(type=7), "field type is int, not str"),
        (body_with(entry="1"), "field entry"),
        (body_with(entry="str:" + "x" * ENTRY_MAX_LENGTH), "field entry"),
        (body_with(entry="str:\ud800"), "field entry"),
        (body_with(entry=None), "field entry is NoneType, not str"),
        (body_with(revision="7"), "field revision is str, not int"),
        (body_with(revision=True), "field revision is bool, not int"),
        (body_with(revision=1e300), "field revision is float, not int"),
        (body_with(revision=-1), "not between 0 and 2^53"),
        (body_with(revision=MAX_REVISION), "not between 0 and 2^53"),
        (body_with(hint="maybe"), "field hint: 'maybe' is unknown"),
        (body_with(force=1), "field force is int, not bool"),
        (body_with(kind="marker"), "field position is missing"),
        (body_with(kind="marker", position=1, sent_at="yesterday"), "field sent_at is not a time"),
        (
            body_with(kind="marker", position=1, sent_at="2026-01-01T00:00:00Z", as_of="lately"),
            "field as_of is not a time",
        ),
        (
            body_with(kind="marker", position=1, sent_at="2026-01-01T00:00:00"),
            "field sent_at has no time zone",
        ),
    ],
)
def test_a_wrong_body_says_what_is_wrong_in_one_line(body: bytes, reason: str) -> None:
    message = refusal(body)
    assert reason in message
    assert "\n" not in message
    assert len(message) < 200


def test_a_marker_that_a_former_version_left_in_the_queue_is_read() -> None:
    left = b'{"v":1,"kind":"marker","position":7,"sent_at":"2026-01-02T03:04:05.000006+00:00"}'
    assert decode(left) == marker(7)


def test_a_field_of_a_later_version_of_this_code_is_ignored() -> None:
    assert decode(body_with(added_later=[1])) == change(1)


@pytest.mark.parametrize("revision", [-1, MAX_REVISION])
def test_what_decode_would_refuse_is_not_encoded(revision: int) -> None:
    with pytest.raises(MalformedMessage):
        encode_change(change(1).model_copy(update={"revision": revision}))
    with pytest.raises(MalformedMessage):
        encode_marker(marker(revision))


def test_an_entry_of_the_greatest_length_fits() -> None:
    longest = change(1).model_copy(update={"entry": "str:" + "\U0001f600" * (ENTRY_MAX_LENGTH - 4)})
    assert decode(encode_change(longest)) == longest


def test_an_enormous_dead_letter_is_cut_so_that_it_fits() -> None:
    text = "\U0001f600" * 1_000_000
    body = encode_dead_letter(
        letter(1, reason=text, traceback=f"{text}the end", entry=text, body=b"x" * 5_000_000)
    )
    assert len(body) <= MAX_LETTER_BYTES
    assert decode_dead_letter(body).traceback.endswith("the end")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"body": "%%%"}, "field body is not base64"),
        ({"body": 7}, "field body is int, not str"),
        ({"type": "videos"}, "field type"),
        ({"at": "now"}, "field at is not a time"),
        ({"kind": "change"}, "is not a dead letter"),
    ],
)
def test_a_wrong_dead_letter_says_what_is_wrong(fields: dict[str, object], reason: str) -> None:
    body = json.dumps(json.loads(encode_dead_letter(letter(1))) | fields).encode()
    with pytest.raises(MalformedMessage, match=reason):
        decode_dead_letter(body)


def test_the_form_on_the_wire_stays_as_it_is() -> None:
    assert json.loads(encode_change(change(7))) == {
        "v": 1,
        "kind": "change",
        "type": "posts",
        "entry": "int:7",
        "revision": 7,
        "hint": "upsert",
        "force": False,
    }
    assert json.loads(encode_marker(marker(7))) == {
        "v": 1,
        "kind": "marker",
        "position": 7,
        "sent_at": "2026-01-02T03:04:05.000006+00:00",
    }
    told = json.loads(encode_marker(marker(7).model_copy(update={"as_of": AT})))
    assert told["as_of"] == "2026-01-02T03:04:05.000006+00:00"
    stored = json.loads(encode_dead_letter(letter(7, body=b"\x00", at=AT)))
    assert stored["body"] == b64encode(b"\x00").decode()
