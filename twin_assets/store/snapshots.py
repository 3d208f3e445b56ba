"""Qdrant's own snapshots of single collections: taken into a file, and restored from one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from twin_assets.errors import BackupDamaged
from twin_assets.settings import Settings
from twin_assets.store.rest import FORBIDDEN, fault_of, rest_client, silence_of

# Qdrant answers once a snapshot is written or restored, and some are tens of gigabytes.
LIMIT_S = 3600.0
# Seen once in some hundred snapshots on a busy machine.
ATTEMPTS = 3

log = logging.getLogger(__name__)


class CollectionSnapshots:
    """Takes and restores snapshots over HTTP, streamed: memory does not grow with a collection.

    Owns its client. Every method raises StoreUnavailable where Qdrant does not answer, and GenerationMissing
    where it has no such collection.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.require_url("qdrant_url")
        self._client = rest_client(settings, timeout_s=LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def take(self, collection: str, path: Path) -> None:
        """Write a snapshot of a collection into a file, which appears when it is whole.

        One that does not arrive as Qdrant says that it has written it is taken again. The server's own copy
        is deleted, but for a process that is killed meanwhile. Raises BackupDamaged where none arrives whole.
        """
        draft = path.with_name(f"{path.name}.new")
        for attempt in range(1, ATTEMPTS + 1):
            if self._take(collection, draft):
                draft.replace(path)
                return
            log.warning("the snapshot of %s has another checksum than Qdrant's, %d", collection, attempt)
        raise BackupDamaged(path, "what arrived has another checksum than Qdrant has written")

    def _take(self, collection: str, draft: Path) -> bool:
        """Take a snapshot into a file; say whether it is what Qdrant has written."""
        made = self._ask("POST", f"collections/{collection}/snapshots", collection)
        where = f"collections/{collection}/snapshots/{made['name']}"
        try:
            found = self._download(where, draft, collection)
        finally:
            self._ask("DELETE", where, collection)
        return made.get("checksum") in {None, found}

    def restore(self, collection: str, path: Path) -> None:
        """Make a collection what it was in a snapshot, whether it exists or not.

        Raises BackupDamaged where Qdrant does not take it, such as one that another version has written.
        """
        with path.open("rb") as file, self._translated():
            answer = self._client.post(
                f"collections/{collection}/snapshots/upload",
                params={"priority": "snapshot", "wait": "true"},
                files={"snapshot": (path.name, file)},
            )
        if answer.status_code in FORBIDDEN:
            self._require(answer, collection)
        if answer.is_error:
            # Qdrant calls what it cannot read a fault of its own.
            raise BackupDamaged(path, f"Qdrant does not take it ({_said(answer)})")

    def _download(self, where: str, path: Path, collection: str) -> str:
        digest = hashlib.sha256()
        with self._translated(), self._client.stream("GET", where) as answer, path.open("wb") as file:
            self._require(answer, collection)
            for piece in answer.iter_bytes():
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()

    def _ask(self, method: str, path: str, collection: str = "", **request: Any) -> Any:
        with self._translated():
            answer = self._client.request(method, path, **request)
        self._require(answer, collection)
        return answer.json()["result"]

    def _require(self, answer: httpx.Response, collection: str) -> None:
        fault = fault_of(answer.status_code, self._url, collection)
        if fault is not None:
            raise fault
        if answer.is_error:
            answer.read()
            raise BackupDamaged(Path(answer.url.path), f"Qdrant refuses ({_said(answer)})")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise silence_of(self._url, error) from error


def _said(answer: httpx.Response) -> str:
    return f"HTTP {answer.status_code}: {' '.join(answer.text.split())[:300]}"
