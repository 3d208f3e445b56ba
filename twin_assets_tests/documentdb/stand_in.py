"""A stand-in for Amazon DocumentDB: a mongod that refuses what DocumentDB's documentation says it refuses.

Its cluster times are whole seconds, and its replies carry nothing that the documentation does not promise.
What it cannot show is how the real one orders, delays and forgets.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from twin_assets_tests.documentdb.messages import Body, Message, read_messages

NOT_SUPPORTED, NOT_ENABLED, NO_RETRIES = 303, 136, 301
STAGES = {"$changeStream", "$match", "$project", "$redact", "$addFields", "$replaceRoot"}
STREAM_OPTIONS = {"fullDocument", "resumeAfter", "startAtOperationTime", "allChangesForCluster"}


class LikeDocumentDb:
    """Listens on loopback before a mongod; change streams are off until modifyChangeStreams."""

    def __init__(self, mongodb_url: str, *, has_post_batch_tokens: bool = False) -> None:
        parts = urlsplit(mongodb_url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"
        self.enabled: set[str] = set()
        self.refused: list[str] = []
        self._has_post_batch_tokens = has_post_batch_tokens
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                for pump in (self._pump_requests, self._pump_replies):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        def take(message: Message) -> None:
            body = message.body
            answer = None if body is None else self._answer(body)
            if answer is None:
                server.sendall(message.encode())
            else:
                client.sendall(message.answer(answer).encode())

        _pump(client, server, take)

    def _pump_replies(self, client: socket.socket, server: socket.socket) -> None:
        def take(message: Message) -> None:
            body = message.body
            shown = message if body is None else message.with_body(self._shown(body))
            client.sendall(shown.encode())

        _pump(server, client, take)

    def _answer(self, command: Body) -> Body | None:
        """Return what DocumentDB answers by itself, None where mongod shall."""
        if "modifyChangeStreams" in command:
            change = self.enabled.add if command["enable"] else self.enabled.discard
            change(command["database"])
            return {"ok": 1.0}
        refusal = self._refusal(command)
        if refusal is None:
            return None
        code, reason = refusal
        self.refused.append(reason)
        return {"ok": 0.0, "code": code, "errmsg": reason}

    def _refusal(self, command: Body) -> tuple[int, str] | None:
        concern = command.get("readConcern", {})
        if "afterClusterTime" in concern or "atClusterTime" in concern:
            return NOT_SUPPORTED, "Feature not supported: Causal consistency"
        if {"min", "max", "returnKey", "showRecordId", "tailable"} & set(command):
            return NOT_SUPPORTED, "Feature not supported: min or max"
        if "txnNumber" in command and "autocommit" not in command:
            return NO_RETRIES, "Retryable writes are not supported"
        stages = [dict(stage) for stage in command.get("pipeline", [])]
        if stages and "$changeStream" in stages[0]:
            return self._refusal_of_stream(command["$db"], stages)
        return None

    def _refusal_of_stream(self, database: str, stages: list[dict[str, Any]]) -> tuple[int, str] | None:
        used = {name for stage in stages for name in stage}
        if odd := (used - STAGES) | (set(stages[0]["$changeStream"]) - STREAM_OPTIONS):
            return NOT_SUPPORTED, f"Feature not supported: {', '.join(sorted(odd))}"
        if database not in self.enabled:
            return NOT_ENABLED, "modifyChangeStreams has not been run for this collection"
        return None

    def _shown(self, reply: Body) -> Body:
        shown = {name: value for name, value in reply.items() if name != "$clusterTime"}
        if "operationTime" in shown:
            shown["operationTime"] = _whole_second(shown["operationTime"])
        cursor = dict(shown.get("cursor", {}))
        if "postBatchResumeToken" in cursor:
            if not self._has_post_batch_tokens:
                del cursor["postBatchResumeToken"]
            for batch in {"firstBatch", "nextBatch"} & set(cursor):
                cursor[batch] = [_shown_event(event) for event in cursor[batch]]
            shown["cursor"] = cursor
        return shown


def _shown_event(event: RawBSONDocument) -> Body:
    shown = {name: value for name, value in event.items() if name != "wallTime"}
    shown["clusterTime"] = _whole_second(shown["clusterTime"])
    return shown


def _whole_second(time: Timestamp) -> Timestamp:
    return Timestamp(time.time, 1)


def _pump(source: socket.socket, sink: socket.socket, take: Any) -> None:
    with suppress(OSError):
        read_messages(source, take)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
