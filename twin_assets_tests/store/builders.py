"""Documents, chunks and generations for store tests: one chunk a word, vectors from the word's hash."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import UTC, datetime

from twin_assets.models.base import text_hash
from twin_assets.models.chunk import ChunkModel, PostChunkModel
from twin_assets.models.cleaned import PostCleanedModel
from twin_assets.models.embedded import EmbeddedChunkModel, PostEmbeddedChunkModel
from twin_assets.models.generation import Generation, GenerationStatus, collection_name
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import CleanedRecipe, VectorRecipe
from twin_assets.store.plan import Wanted

DIMENSION = 8
RECIPE = VectorRecipe(
    cleaned=CleanedRecipe(),
    chunk_size=10,
    chunk_overlap=0,
    max_tokens=10,
    model="hash-8",
    dimension=DIMENSION,
)


def generation(snapshot: Snapshot = Snapshot.VECTOR, number: int = 1) -> Generation:
    return Generation(
        collection=collection_name(snapshot, DataType.POSTS, number),
        snapshot=snapshot,
        type=DataType.POSTS,
        number=number,
        status=GenerationStatus.LIVE,
        recipe=RECIPE if snapshot is Snapshot.VECTOR else RECIPE.cleaned,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        since=0,
    )


def wanted(text: str | None, *, entry: str = "int:1", force: bool = False) -> Wanted:
    """A post of one chunk a word; None is a deleted one."""
    if text is None:
        return Wanted(DataType.POSTS, entry, force=force)
    cleaned = PostCleanedModel(
        entry=entry, cleaned_content=text, source_hash=text_hash(text), platform="p", author_id="a"
    )
    return Wanted(DataType.POSTS, entry, cleaned=cleaned, chunks=chunks_of(cleaned), force=force)


def refused(version: str, *, entry: str = "int:1") -> Wanted:
    return Wanted(DataType.POSTS, entry, quarantine_hash=text_hash(version))


def chunks_of(cleaned: PostCleanedModel) -> tuple[ChunkModel, ...]:
    words, seen, start = cleaned.cleaned_content.split(" "), {}, 0
    chunks = []
    for index, word in enumerate(words):
        occurrence = seen[word] = seen.get(word, -1) + 1
        chunks.append(
            PostChunkModel(
                entry=cleaned.entry,
                platform=cleaned.platform,
                author_id=cleaned.author_id,
                content=word,
                chunk_index=index,
                chunk_count=len(words),
                start=start,
                end=start + len(word),
                recipe=RECIPE.short,
                occurrence=occurrence,
            )
        )
        start += len(word) + 1
    return tuple(chunks)


def embed(chunks: Sequence[ChunkModel]) -> list[EmbeddedChunkModel]:
    return [PostEmbeddedChunkModel(chunk=chunk, vector=_vector(chunk.content)) for chunk in chunks]


def _vector(text: str) -> tuple[float, ...]:
    digest = hashlib.sha256(text.encode()).digest()[:DIMENSION]
    numbers = [byte + 1.0 for byte in digest]
    norm = math.sqrt(sum(number * number for number in numbers))
    return tuple(number / norm for number in numbers)
