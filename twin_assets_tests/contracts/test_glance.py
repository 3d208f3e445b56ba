"""The glance beside the library's client on a real Qdrant: equal counts, equal complaints."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from twin_assets.errors import GenerationMissing, StoreUnavailable
from twin_assets.settings import Settings
from twin_assets.store.generations import GenerationCollections
from twin_assets.store.glance import StoreGlance
from twin_assets.store.point_store import PointStore
from twin_assets.store.points import document_head, quarantine_head, tombstone
from twin_assets_tests.contracts.test_point_store import chunk_points
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.store.builders import generation, wanted

pytestmark = pytest.mark.servers

GENERATION = generation()
NAME = GENERATION.collection


@pytest.fixture
def store(qdrant_url: str) -> Iterator[PointStore]:
    with PointStore(qdrant_url) as real:
        collections = GenerationCollections(real)
        collections.drop(NAME)
        collections.create(GENERATION)
        yield real
        collections.drop(NAME)


@pytest.fixture
def glance(qdrant_url: str) -> Iterator[StoreGlance]:
    with StoreGlance(Settings(_env_file=None, qdrant_url=qdrant_url), timeout_s=5) as found:
        yield found


def test_documents_and_chunks_of_every_kind_are_counted_alike(store: PointStore, glance: StoreGlance) -> None:
    good = [
        document_head(GENERATION, wanted("a b", entry=entry).cleaned, revision=5, chunk_count=2, settled=True)
        for entry in ("int:1", "int:2", "int:3")
    ]
    good[2].payload["quarantined"] = True
    others = [
        tombstone(GENERATION, "int:4", revision=5, settled=True),
        quarantine_head(GENERATION, "int:5", revision=5, quarantine_hash="bad"),
    ]
    store.upsert(NAME, [*good, *others, *chunk_points("a b", revision=5)], revision=5)
    glance.check()
    assert glance.count_documents(NAME) == store.count_documents(NAME) == 3
    assert glance.count_chunks(NAME) == store.count_chunks(NAME) == 2


def test_a_collection_that_is_missing_is_named(glance: StoreGlance) -> None:
    with pytest.raises(GenerationMissing, match="vector_posts__g0099"):
        glance.count_chunks("vector_posts__g0099")


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[]", b"{}", None])
def test_a_server_that_is_no_qdrant_is_said_to_be_none(answer: bytes | None) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if answer else 404)
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = Settings(_env_file=None, qdrant_url=f"http://127.0.0.1:{server.server_port}")
        with StoreGlance(settings, timeout_s=5) as glance, pytest.raises(StoreUnavailable) as caught:
            glance.check()
        server.shutdown()
    assert "is no Qdrant" in str(caught.value)


def test_a_server_that_is_down_is_named_without_its_credentials() -> None:
    settings = Settings(_env_file=None, qdrant_url=f"http://me:s3cret@127.0.0.1:{free_port()}")
    with StoreGlance(settings, timeout_s=1) as glance, pytest.raises(StoreUnavailable) as caught:
        glance.check()
    assert "refused" in str(caught.value)
    assert "s3cret" not in str(caught.value)
