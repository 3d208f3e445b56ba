"""What arrives of a snapshot is what Qdrant has written, or there is none."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from twin_assets.errors import BackupDamaged
from twin_assets.settings import Settings, load_settings
from twin_assets.store.snapshots import ATTEMPTS, CollectionSnapshots

BODY = b"a snapshot"


class FakeQdrant(ThreadingHTTPServer):
    """Keeps one snapshot at a time; of the first `broken` of them it gives too little."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.broken = 0
        self.made = 0
        self.kept: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    server: FakeQdrant

    def do_POST(self) -> None:
        self.server.made += 1
        name = f"snapshot-{self.server.made}"
        self.server.kept.add(name)
        self._tell({"name": name, "checksum": hashlib.sha256(BODY).hexdigest()})

    def do_GET(self) -> None:
        is_broken = self.server.made <= self.server.broken
        self._send(BODY[:-1] if is_broken else BODY)

    def do_DELETE(self) -> None:
        self.server.kept.discard(self.path.rpartition("/")[2])
        self._tell("deleted")

    def log_message(self, *_: object) -> None:
        """Keep silent."""

    def _tell(self, result: object) -> None:
        self._send(json.dumps({"result": result}).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def qdrant() -> Iterator[FakeQdrant]:
    with FakeQdrant() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def settings(qdrant: FakeQdrant, tmp_path: Path) -> Settings:
    return load_settings(state_dir=tmp_path, qdrant_url=f"http://127.0.0.1:{qdrant.server_port}")


@pytest.mark.parametrize("broken", range(ATTEMPTS))
def test_one_that_does_not_arrive_whole_is_taken_again(
    qdrant: FakeQdrant, settings: Settings, tmp_path: Path, broken: int
) -> None:
    qdrant.broken = broken
    with CollectionSnapshots(settings) as snapshots:
        snapshots.take("posts", tmp_path / "posts.snapshot")
    assert (tmp_path / "posts.snapshot").read_bytes() == BODY
    assert qdrant.made == broken + 1
    assert qdrant.kept == set()


def test_where_none_arrives_whole_there_is_no_file_that_looks_like_one(
    qdrant: FakeQdrant, settings: Settings, tmp_path: Path
) -> None:
    qdrant.broken = ATTEMPTS
    with CollectionSnapshots(settings) as snapshots, pytest.raises(BackupDamaged, match="checksum"):
        snapshots.take("posts", tmp_path / "posts.snapshot")
    assert not (tmp_path / "posts.snapshot").exists()
    assert qdrant.made == ATTEMPTS
    assert qdrant.kept == set()
