"""The door for readers: cleaned documents to train on, chunks to answer with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from types import TracebackType
from typing import Any, Self

from twin_assets.errors import GenerationMissing, NoLiveGeneration
from twin_assets.models.base import TwinModel
from twin_assets.models.cleaned import FileSpan
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.processing.encoder import Encoder, load_encoder
from twin_assets.processing.encoder_options import EncoderOptions
from twin_assets.settings import Settings, load_settings
from twin_assets.store.point_store import open_store
from twin_assets.store.reading import resolve_alias, scan_documents, stored_recipe

SWITCHES_AT_MOST = 5


class CleanedDocument(TwinModel):
    """A document's cleaned text and where it comes from; `author_id` is a repository's owner.

    `files` says which slice of a repository's text is which file.
    """

    id: str
    type: DataType
    text: str
    author_id: str
    link: str | None = None
    platform: str | None = None
    name: str | None = None
    image: str | None = None
    files: tuple[FileSpan, ...] = ()


class SearchHit(TwinModel):
    """A chunk that answers a query: `content` is the slice [start:end] of the cleaned document `id`.

    `score` is the cosine of query and chunk, comparable within one model only. `path`, `language` and
    `start_line` (from 1) are there for code.
    """

    id: str
    type: DataType
    score: float
    content: str
    author_id: str
    link: str | None = None
    platform: str | None = None
    name: str | None = None
    chunk_index: int
    start: int
    end: int
    path: str | None = None
    language: str | None = None
    start_line: int | None = None


class FeatureStore:
    """Reads the live collections through their aliases, so that a rebuild never shows half done.

    A context manager. Every method raises StoreUnavailable where Qdrant does not answer, and NoLiveGeneration
    where a type that was asked for has not been brought in yet.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load_settings()
        self._store = open_store(self._settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._store.close()

    def cleaned(
        self, data_type: DataType | str, *, author_id: str | None = None, limit: int | None = None
    ) -> Iterator[CleanedDocument]:
        """Yield the documents of a type, in a stable order without meaning, a page in memory at a time."""
        kind = DataType(data_type)
        try:
            payloads = scan_documents(self._store, alias_of(Snapshot.CLEANED, kind), author_id=author_id)
            yield from (_document(payload) for payload in islice(payloads, limit))
        except GenerationMissing as error:
            raise NoLiveGeneration(error.collection) from None

    def search(
        self,
        text: str,
        *,
        types: Iterable[DataType | str] | None = None,
        limit: int = 5,
        author_id: str | None = None,
    ) -> list[SearchHit]:
        """Return the chunks nearest to a text, best first, from some types or from all there are.

        The text is embedded by the model that each live collection was made with. Hits of one model are
        ordered by score. Where the types have different models their scores do not compare, so that the best
        hits of each model take turns.
        """
        by_recipe: dict[tuple[Any, ...], list[SearchHit]] = {}
        for data_type in DataType if types is None else [DataType(name) for name in types]:
            try:
                recipe, hits = self._nearest(data_type, text, limit=limit, author_id=author_id)
            except NoLiveGeneration:
                if types is not None:
                    raise
            else:
                by_recipe.setdefault(_space(recipe), []).extend(hits)
        return merge(by_recipe.values())[:limit]

    def _nearest(
        self, data_type: DataType, text: str, *, limit: int, author_id: str | None
    ) -> tuple[VectorRecipe, list[SearchHit]]:
        alias = alias_of(Snapshot.VECTOR, data_type)
        # Recipe and points have to be of one generation, while the alias may move to one of another model.
        for _ in range(SWITCHES_AT_MOST):
            collection = resolve_alias(self._store, alias)
            if collection is None:
                break
            try:
                recipe = stored_recipe(self._store, collection)
                if not isinstance(recipe, VectorRecipe):
                    break
                vector = self._encoder(recipe).encode([text])[0].tolist()
                found = self._store.search(collection, vector, limit=limit, author_id=author_id)
            except GenerationMissing:
                continue  # dropped after a switch
            return recipe, [
                SearchHit.model_validate(_named(each.payload) | {"score": each.score}) for each in found
            ]
        raise NoLiveGeneration(alias)

    def _encoder(self, recipe: VectorRecipe) -> Encoder:
        return load_encoder(recipe, EncoderOptions.of(self._settings))


def merge(groups: Iterable[Sequence[SearchHit]]) -> list[SearchHit]:
    """Order hits: by score within a group (one model), in turns across groups."""
    ranked = [sorted(group, key=lambda hit: hit.score, reverse=True) for group in groups]
    ranked.sort(key=lambda group: -group[0].score if group else 0.0)
    return [hit for turn in zip_longest(*ranked) for hit in turn if hit is not None]


def _space(recipe: VectorRecipe) -> tuple[Any, ...]:
    """Return what must be equal for scores to compare."""
    return recipe.model, recipe.dimension, recipe.instruction, recipe.pooling


def _document(payload: dict[str, Any]) -> CleanedDocument:
    return CleanedDocument.model_validate(_named(payload) | {"text": payload["cleaned_content"]})


def _named(payload: dict[str, Any] | None) -> dict[str, Any]:
    fields = payload or {}
    return fields | {"author_id": fields.get("author_id") or fields.get("owner_id")}
