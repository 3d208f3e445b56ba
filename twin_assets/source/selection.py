"""Documents chosen by what their fields say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pymongo.read_concern import ReadConcern

from twin_assets.errors import ConfigurationError, UnsupportedId
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS
from twin_assets.source.client import Client, Document, database_of, translate_errors
from twin_assets.source.entries import entries_meant_by, entry_of, id_of

ID = "_id"
BODY = frozenset({"content", "entry"})


def select_entries(
    client: Client,
    database: str,
    data_type: DataType,
    wanted: Mapping[str, Sequence[str]],
    *,
    page_size: int = 1000,
) -> Iterator[list[str]]:
    """Yield the entries of documents each of whose fields has one of the values wanted, page by page.

    A value is taken in every kind that it may mean: `7` finds the number and the text. Raises
    ConfigurationError where the type has no such field; an `_id` that has no entry is passed over.
    """
    known = {ID, *(set(RAW_MODELS[data_type].model_fields) - BODY)}
    if unknown := ", ".join(sorted(set(wanted) - known)):
        there_are = ", ".join(sorted(known))
        raise ConfigurationError(f"{data_type.value} cannot be chosen by {unknown}; there are {there_are}")
    query: Document = {field: {"$in": _meanings(values)} for field, values in wanted.items()}
    collection = database_of(client, database)[data_type.value].with_options(
        read_concern=ReadConcern("majority")
    )
    page: list[str] = []
    with translate_errors(client), collection.find(query, {ID: 1}) as cursor:
        for found in cursor:
            try:
                page.append(entry_of(found[ID]))
            except UnsupportedId:
                continue
            if len(page) == page_size:
                yield page
                page = []
    if page:
        yield page


def _meanings(values: Sequence[str]) -> list[object]:
    return [id_of(entry) for value in values for entry in entries_meant_by(value)]
