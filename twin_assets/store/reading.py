"""What readers of the features ask of a collection, by its alias."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import models as q

from twin_assets.models.recipe import Recipe
from twin_assets.store import filters
from twin_assets.store.client import translated
from twin_assets.store.point_store import PointStore

DOCUMENT_PAGE = 64
RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def resolve_alias(store: PointStore, alias: str) -> str | None:
    """Return the collection that an alias names now; None where there is no such alias."""
    with translated(store.url):
        aliases = store.client.get_aliases().aliases
    return next((found.collection_name for found in aliases if found.alias_name == alias), None)


def stored_recipe(store: PointStore, collection: str) -> Recipe:
    """Return the recipe that a collection says it was made by. Raises GenerationMissing."""
    with translated(store.url, collection):
        metadata = store.client.get_collection(collection).config.metadata or {}
    return RECIPE.validate_python(metadata["recipe"])


def scan_documents(
    store: PointStore, collection: str, *, author_id: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the cleaned documents' payloads: no tombstone, and nothing that never had a good version."""
    author = [] if author_id is None else [filters.written_by(author_id)]
    textless = q.IsEmptyCondition(is_empty=q.PayloadField(key="cleaned_content"))
    chosen = q.Filter(must=[filters.HEAD, *author], must_not=[filters.DELETED, textless])
    for record in store.scroll(collection, chosen, page=DOCUMENT_PAGE):
        yield record.payload or {}
