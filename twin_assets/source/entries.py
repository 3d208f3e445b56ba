"""Keys of documents: reversible, tagged by kind, since MongoDB holds `1` and `"1"` side by side."""

from __future__ import annotations

from uuid import UUID

from bson import ObjectId
from bson.errors import InvalidId

from twin_assets.errors import UnsupportedId
from twin_assets.models.base import ENTRY_MAX_LENGTH

INT64_LIMIT = 1 << 63
REPLACEMENT_CHARACTER = "\ufffd"
KINDS = ("int", "oid", "uuid", "str")


def entry_of(value: object) -> str:
    """Return the entry of an `_id`, such as `oid:65f…` or `int:7`.

    Raises UnsupportedId for every other kind, and for text that is too long or was not valid UTF-8: what the
    driver decoded with replacements would not find its document again.
    """
    match value:
        case bool():
            raise UnsupportedId("bool")
        case ObjectId():
            return f"oid:{value}"
        case UUID():
            return f"uuid:{value}"
        case int():
            return f"int:{int(value)}"
        case str():
            return _text_entry(str(value))
        case _:
            raise UnsupportedId(type(value).__name__)


def id_of(entry: str) -> object:
    """Return the `_id` that an entry was made of. Raises UnsupportedId where none can be."""
    kind, _, text = entry.partition(":")
    try:
        match kind:
            case "oid":
                return ObjectId(text)
            case "uuid":
                return UUID(text)
            case "int":
                return _int64(text)
            case "str":
                return text
    except (ValueError, InvalidId):
        pass
    raise UnsupportedId(f"{entry[:40]!r}")


def is_reversible(entry: str) -> bool:
    """Say whether some document could have this entry."""
    try:
        id_of(entry)
    except UnsupportedId:
        return False
    return True


def entries_meant_by(text: str) -> list[str]:
    """Return the entries that a person may mean: one that is written as such, else the id in every kind."""
    if is_reversible(text):
        return [entry_of(id_of(text))]
    return [entry for kind in KINDS for entry in _read_as(kind, text)]


def describe_id(value: object) -> str:
    """Return an unsupported `_id` in at most 80 characters, so that its document can be found."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read_as(kind: str, text: str) -> list[str]:
    try:
        entry = entry_of(id_of(f"{kind}:{text}"))
    except UnsupportedId:
        return []
    # Python reads `007` and `1_0` as numbers too, but nobody sees an id so.
    return [entry] if entry.lower() == f"{kind}:{text}".lower() else []


def _text_entry(text: str) -> str:
    if REPLACEMENT_CHARACTER in text:
        raise UnsupportedId("str that is not valid UTF-8")
    if len(text) + len("str:") > ENTRY_MAX_LENGTH:
        raise UnsupportedId(f"str of {len(text)} characters")
    return f"str:{text}"


def _int64(text: str) -> int:
    number = int(text)
    if not -INT64_LIMIT <= number < INT64_LIMIT:
        raise ValueError(text)
    return number
