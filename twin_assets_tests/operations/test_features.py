from __future__ import annotations

import subprocess
import sys

import pytest
from qdrant_client import models as q

import twin_assets
from twin_assets.errors import NoLiveGeneration, StoreUnavailable
from twin_assets.models.kinds import DataType
from twin_assets.operations import features as features_module
from twin_assets.operations.features import FeatureStore, SearchHit, merge
from twin_assets.settings import load_settings
from twin_assets.store.reading import resolve_alias
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.operations.auditing import change, post


def hit(name: str, score: float) -> SearchHit:
    return SearchHit(
        id=name, type=DataType.POSTS, score=score, content="", author_id="a", chunk_index=0, start=0, end=0
    )


def order(*groups: list[SearchHit]) -> str:
    return "".join(found.id for found in merge(groups))


def test_hits_of_one_model_are_ordered_by_score():
    assert order([hit("c", 0.1), hit("a", 0.9), hit("b", 0.5)]) == "abc"


def test_hits_of_different_models_take_turns():
    assert order([hit("b", 0.2), hit("d", 0.1)], [hit("a", 0.9), hit("c", 0.8), hit("e", 0.7)], []) == "abcde"


def test_the_package_is_light_until_the_door_is_opened():
    code = "import sys, twin_assets; print(len({'qdrant_client', 'pydantic', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    assert twin_assets.FeatureStore is FeatureStore
    with pytest.raises(AttributeError):
        _ = twin_assets.Nothing


def test_a_qdrant_that_is_down_is_named():
    settings = load_settings(qdrant_url=f"http://127.0.0.1:{free_port()}")
    with FeatureStore(settings) as features, pytest.raises(StoreUnavailable):
        list(features.cleaned("posts"))


@pytest.fixture
def features(twin, documents, apply):
    documents.posts.insert_many(
        [
            post(1, "a poem about the sea"),
            post(2, "taxes and the law") | {"author_id": "b"},
            post(3, "was deleted"),
            post(4) | {"content": {}},
        ]
    )
    documents.repositories.insert_one(
        {
            "_id": 1,
            "name": "ships",
            "link": "https://example.org/ships",
            "owner_id": "b",
            "content": {"sea.py": "def sail(sea):\n    return sea\n"},
        }
    )
    apply([change(number) for number in (1, 2, 3, 4)])
    documents.posts.delete_one({"_id": 3})
    apply([change(3), change(1).model_copy(update={"type": DataType.REPOSITORIES})])
    with FeatureStore(twin.settings) as opened:
        yield opened


@pytest.mark.servers
def test_cleaned_documents_are_read_back_without_deleted_and_refused_ones(features):
    found = {document.id: document for document in features.cleaned("posts")}
    assert set(found) == {"1", "2"}
    assert found["1"].text == "1 a poem about the sea"
    assert (found["1"].type, found["1"].author_id, found["1"].platform) == (DataType.POSTS, "a", "p")


@pytest.mark.servers
def test_cleaned_documents_are_filtered_by_author_and_limited(features):
    assert [document.id for document in features.cleaned("posts", author_id="b")] == ["2"]
    assert len(list(features.cleaned("posts", limit=1))) == 1
    (repository,) = features.cleaned(DataType.REPOSITORIES, author_id="b")
    (file,) = repository.files
    assert (repository.name, file.path) == ("ships", "sea.py")
    assert "def sail" in repository.text[file.start : file.end]


@pytest.mark.servers
def test_a_search_finds_the_nearest_chunk_of_all_types(features):
    first, *_ = features.search("1 a poem about the sea", limit=2)
    assert (first.id, first.type, first.author_id) == ("1", DataType.POSTS, "a")
    assert first.score == pytest.approx(1.0, abs=1e-3)
    assert first.content == "1 a poem about the sea"[first.start : first.end]
    scores = [found.score for found in features.search("sea", limit=10)]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


@pytest.mark.servers
def test_a_search_is_narrowed_by_type_author_and_limit(features):
    (code,) = features.search("sail the sea", types=["repositories"])
    assert (code.path, code.start_line, code.link) == ("sea.py", 1, "https://example.org/ships")
    assert {found.author_id for found in features.search("sea", author_id="b")} == {"b"}
    assert len(features.search("sea", limit=1)) == 1
    assert features.search("sea", types=["articles"]) == []


@pytest.mark.servers
def test_a_search_whose_collection_is_dropped_after_a_switch_looks_where_readers_are_now(
    features, monkeypatch
):
    dropped = iter(["vector_posts__g9999"])

    def resolve(store, alias):
        return next(dropped, None) or resolve_alias(store, alias)

    monkeypatch.setattr(features_module, "resolve_alias", resolve)
    assert features.search("1 a poem about the sea", types=["posts"])[0].id == "1"
    assert next(dropped, None) is None


@pytest.mark.servers
def test_a_type_that_nobody_built_is_named_or_left_out(twin, features):
    client = twin.store.client
    live = twin.collections.aliases()
    client.update_collection_aliases(
        [q.DeleteAliasOperation(delete_alias=q.DeleteAlias(alias_name=alias)) for alias in live]
    )
    try:
        assert features.search("sea") == []
        with pytest.raises(NoLiveGeneration, match="vector_posts"):
            features.search("sea", types=["posts"])
        with pytest.raises(NoLiveGeneration, match="cleaned_posts"):
            list(features.cleaned("posts"))
    finally:
        client.update_collection_aliases(
            [
                q.CreateAliasOperation(create_alias=q.CreateAlias(collection_name=name, alias_name=alias))
                for alias, name in live.items()
            ]
        )
