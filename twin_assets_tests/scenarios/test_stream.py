from __future__ import annotations

import pytest

from twin_assets.models.change import Change
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers
STARTS_S = 120.0  # a stream's first start makes all collections


def post(number: int, text: str) -> dict:
    return {"_id": number, "platform": "p", "author_id": "a", "content": {"text": text}}


def change(twin, number: int, data_type: DataType = DataType.POSTS) -> Change:
    return Change(type=data_type, entry=f"int:{number}", revision=twin.source.now())


def test_inserted_shortened_and_deleted_documents_arrive(twin, documents, streaming, chunk_texts):
    words = " ".join(f"word{number}" for number in range(60))
    twin.publisher.declare_missing()
    documents.posts.insert_one(post(1, words))
    with streaming():
        twin.publisher.publish([change(twin, 1)])
        before = wait_until(
            lambda: chunk_texts(DataType.POSTS, "int:1"), what="the post arrives", limit_s=STARTS_S
        )
        assert " ".join(before) == words
        documents.posts.replace_one({"_id": 1}, post(1, "word0 word1"))
        twin.publisher.publish([change(twin, 1)])
        wait_until(lambda: chunk_texts(DataType.POSTS, "int:1") == ["word0 word1"], what="it shrinks")
        documents.posts.delete_one({"_id": 1})
        twin.publisher.publish([change(twin, 1)])
        wait_until(lambda: chunk_texts(DataType.POSTS, "int:1") == [], what="it goes")
    live = twin.live_generation(Snapshot.CLEANED, DataType.POSTS)
    assert twin.store.count_documents(live.collection) == 0
