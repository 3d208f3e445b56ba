"""Bytes to text: UTF-8, UTF-16 and UTF-32 by their marks, Windows-1252 as the last guess; else binary."""

from __future__ import annotations

import codecs
import hashlib
import re
from dataclasses import dataclass

SNIFFED_BYTES = 8192
# The UTF-32 little-endian mark begins with the UTF-16 one: the longer comes first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
SURROGATES = re.compile("[\ud800-\udfff]")
UNSUITABLE = re.compile("[\ud800-\udfff\ufffd]")
DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
MAX_ID_LENGTH = 800


@dataclass(frozen=True)
class Decoded:
    """A text, and whether its encoding was a guess."""

    text: str
    guessed: bool = False


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark names."""
    return next((encoding for mark, encoding in MARKS if head.startswith(mark)), None)


def is_binary(head: bytes) -> bool:
    """Say whether a file's first bytes are no text, as git does: a NUL without a Unicode mark."""
    return marked_encoding(head) is None and b"\0" in head


def decode(raw: bytes, *, declared: str | None = None) -> Decoded | None:
    """Return the text of a file, or None where it is binary; `declared` is tried after UTF-8."""
    if encoding := marked_encoding(raw[:4]):
        return Decoded(raw.decode(encoding, "replace"))
    if is_binary(raw[:SNIFFED_BYTES]):
        return None
    try:
        return Decoded(raw.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if declared and (text := _decode_as(raw, declared)) is not None:
        return Decoded(text)
    if CONTROL_BYTES.search(raw):
        return None
    return Decoded(decode_western(raw), guessed=True)


def declared_charset(raw: bytes) -> str | None:
    """Return the encoding that an HTML or XHTML page names in its first lines."""
    found = DECLARED.search(raw[:1024])
    return found[1].decode("ascii", "ignore") if found else None


def _decode_as(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (LookupError, UnicodeDecodeError):
        return None


def decode_western(raw: bytes) -> str:
    """Read bytes as Windows-1252, and the five that it lacks as Latin-1: never fails."""
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def without_surrogates(text: str) -> str:
    """Replace lone surrogates, which neither UTF-8 nor BSON can hold, by U+FFFD."""
    return SURROGATES.sub("\ufffd", text)


def document_id(*parts: str) -> str:
    """Join the parts of an origin with `/` to a readable `_id`.

    One that is very long, or that comes from a file name that is not UTF-8, ends in a hash.
    """
    name = "/".join(parts)
    clean = UNSUITABLE.sub("_", name)
    if clean == name and len(name) <= MAX_ID_LENGTH:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{clean[: MAX_ID_LENGTH - 17]}~{digest}"
