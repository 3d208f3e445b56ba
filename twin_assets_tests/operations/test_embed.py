"""What an encoder refuses half way, on a real Qdrant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from twin_assets.errors import DocumentRejected
from twin_assets.models.change import Change
from twin_assets.models.chunk import ChunkModel
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.models.recipe import VectorRecipe
from twin_assets.operations.processors import Processors
from twin_assets.operations.twin import Twin

pytestmark = pytest.mark.servers

CHANGE = Change(type=DataType.POSTS, entry="int:1", revision=0)
PARAGRAPHS = "\n\n".join(f"paragraph number {number} " + "word " * 6 for number in range(40))


def post(text: str) -> dict[str, Any]:
    return {"_id": 1, "platform": "web", "author_id": "a", "content": {"text": text}}


def test_a_version_that_is_refused_half_way_leaves_no_chunk_beside_the_last_good_one(
    twin: Twin, documents: Any, apply: Callable[[list[Change]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = twin.live_generation(Snapshot.VECTOR, DataType.POSTS)
    assert live is not None
    documents["posts"].insert_one(post("good text"))
    apply([CHANGE])
    documents["posts"].replace_one({"_id": 1}, post(f"{PARAGRAPHS}\n\n{'poison ' * 8}"))
    embed = Processors.embed

    def refuse_poison(self: Processors, recipe: VectorRecipe, chunks: Sequence[ChunkModel]) -> Any:
        if any("poison" in chunk.content for chunk in chunks):
            raise DocumentRejected(stage="embedding", key=CHANGE.key, reason="no unit vector")
        return embed(self, recipe, chunks)

    monkeypatch.setattr(Processors, "embed", refuse_poison)
    apply([CHANGE])
    assert twin.store.chunk_texts(live.collection, "int:1") == ["good text"]
    assert twin.store.count_quarantined(live.collection) == 1
