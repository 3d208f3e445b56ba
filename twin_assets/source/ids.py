"""Pages of `_id`s in index order, across kinds: the ground of every scan."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from bson import CodecOptions, decode, encode
from bson.raw_bson import RawBSONDocument

from twin_assets.errors import UnsupportedId
from twin_assets.source.client import CODEC, Client, Document, database_of, translate_errors
from twin_assets.source.documentdb import is_documentdb
from twin_assets.source.entries import describe_id, entry_of, id_of

ODD_AT_MOST = 1000
RAW_CODEC: CodecOptions[RawBSONDocument] = CODEC.with_options(document_class=RawBSONDocument)
# BSON types that compare with each other, in the order in which MongoDB sorts them.
COMPARABLE = {
    "numbers": [0x01, 0x10, 0x12, 0x13],
    "texts": [0x02, 0x0E],
    "objects": [0x03],
    "binary": [0x05],
    "object ids": [0x07],
    "booleans": [0x08],
    "dates": [0x09],
    "timestamps": [0x11],
}


@dataclass(frozen=True)
class IdPage:
    """Entries of one page, and a description of each `_id` that has no entry."""

    entries: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)


def read_id_pages(
    client: Client, database: str, collection: str, *, page_size: int, after: str | None = None
) -> Iterator[IdPage]:
    """Yield all `_id`s of a collection, each page by its own majority read; no cursor stays open.

    A document that exists throughout is yielded exactly once.
    """
    last = None if after is None else RawBSONDocument(encode({"_id": id_of(after)}, codec_options=CODEC))
    if is_documentdb(client):
        yield from _read_kind_by_kind(client, database, collection, page_size, last)
        return
    while True:
        limit = page_size if last is None else page_size + 1
        found = _read_page(client, database, collection, limit, last)
        fresh = [document for document in found if last is None or document.raw != last.raw][:page_size]
        if fresh:
            last = fresh[-1]
            yield _page_of(fresh)
        if len(found) < limit:
            return


def _read_page(
    client: Client, database: str, collection: str, limit: int, last: RawBSONDocument | None
) -> list[RawBSONDocument]:
    # `min` walks the index from the last `_id` on; a `$gt` would stop where the next kind of _id begins. The
    # last `_id` goes back as the bytes it came in, since decoding may have replaced broken UTF-8.
    options: Document = {"limit": limit} | ({} if last is None else {"min": last})
    return _find(client, database, collection, options)


def _read_kind_by_kind(
    client: Client, database: str, collection: str, page_size: int, last: RawBSONDocument | None
) -> Iterator[IdPage]:
    """Yield the same where there is no `min`: one kind of `_id` after the other, `$gt` within each."""
    kinds = list(COMPARABLE.values())
    if last is not None:
        kinds = kinds[next(number for number, kind in enumerate(kinds) if _type_of(last) in kind) :]
    for kind in kinds:
        while True:
            behind = _comparable(kind) if last is None else [_behind(last)]
            query = {"$and": [{"_id": {"$type": kind}}, *behind]}
            options: Document = {"filter": query, "sort": {"_id": 1}, "limit": page_size}
            if found := _find(client, database, collection, options):
                last = found[-1]
                yield _page_of(found)
            if len(found) < page_size:
                break
        last = None
    others = {"_id": {"$not": {"$type": [code for kind in COMPARABLE.values() for code in kind]}}}
    odd = {"$or": [others, {"_id": float("nan")}]}
    # Nobody has many of them, and none has an entry.
    found = _find(client, database, collection, {"filter": odd, "limit": ODD_AT_MOST})
    for first in range(0, len(found), page_size):
        yield _page_of(found[first : first + page_size])


def _find(client: Client, database: str, collection: str, options: Document) -> list[RawBSONDocument]:
    command = {
        "find": collection,
        "projection": {"_id": 1},
        "hint": {"_id": 1},
        "batchSize": options["limit"],
        "singleBatch": True,
        "readConcern": {"level": "majority"},
    }
    with translate_errors(client):
        reply = database_of(client, database).command(command | options, codec_options=RAW_CODEC)
    return list(reply["cursor"]["firstBatch"])


def _comparable(kind: list[int]) -> list[Document]:
    """Leave out what compares with nothing of its own kind, and would hide what comes behind it."""
    return [{"_id": {"$gte": float("-inf")}}] if kind is COMPARABLE["numbers"] else []


def _type_of(document: RawBSONDocument) -> int:
    """Return the BSON type of the only field."""
    return document.raw[4]


def _behind(last: RawBSONDocument) -> RawBSONDocument:
    """Return the query for what comes behind an `_id`, whose bytes stay as they came."""
    operator = bytes([_type_of(last)]) + b"$gt\0" + _value_of(last)
    return RawBSONDocument(encode({"_id": _document(operator)}))


def _value_of(document: RawBSONDocument) -> bytes:
    """Return the bytes of the value of `_id`, the only field."""
    return bytes(document.raw)[len(b"size") + len(b"t_id\0") : -1]


def _document(elements: bytes) -> RawBSONDocument:
    return RawBSONDocument(struct.pack("<i", len(elements) + 5) + elements + b"\0")


def _page_of(documents: list[RawBSONDocument]) -> IdPage:
    page = IdPage()
    for document in documents:
        value = decode(document.raw, CODEC)["_id"]
        try:
            page.entries.append(entry_of(value))
        except UnsupportedId as error:
            page.unsupported.append(f"{error}: {describe_id(value)}")
    return page
