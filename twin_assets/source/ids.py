"""Pages of `_id`s in index order, across kinds: the ground of every scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bson import CodecOptions, decode, encode
from bson.raw_bson import RawBSONDocument

from twin_assets.errors import UnsupportedId
from twin_assets.source.client import CODEC, Client, database_of, translate_errors
from twin_assets.source.entries import describe_id, entry_of, id_of

RAW_CODEC: CodecOptions[RawBSONDocument] = CODEC.with_options(document_class=RawBSONDocument)


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
    command = {
        "find": collection,
        "projection": {"_id": 1},
        "hint": {"_id": 1},
        "limit": limit,
        "batchSize": limit,
        "singleBatch": True,
        "readConcern": {"level": "majority"},
    }
    if last is not None:
        command["min"] = last
    with translate_errors(client):
        reply = database_of(client, database).command(command, codec_options=RAW_CODEC)
    return list(reply["cursor"]["firstBatch"])


def _page_of(documents: list[RawBSONDocument]) -> IdPage:
    page = IdPage()
    for document in documents:
        value = decode(document.raw, CODEC)["_id"]
        try:
            page.entries.append(entry_of(value))
        except UnsupportedId as error:
            page.unsupported.append(f"{error}: {describe_id(value)}")
    return page
