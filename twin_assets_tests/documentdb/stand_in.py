"""A stand-in for Amazon DocumentDB: a mongod that refuses what DocumentDB's documentation says it refuses.

Its cluster times are whole seconds, which is less than the documentation shows, and its events have no wall
time. What it cannot show is how the real one orders, delays and forgets.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from twin_assets.stack.ports import LOOPBACK
from twin_assets_tests.documentdb.messages import Body, Message, read_messages
from twin_assets_tests.loopback_proxy import LoopbackProxy

NOT_SUPPORTED, NOT_ENABLED, NO_RETRIES = 303, 136, 301
STAGES = {"$changeStream", "$match", "$project", "$redact", "$addFields", "$replaceRoot"}
STREAM_OPTIONS = {"fullDocument", "resumeAfter", "startAtOperationTime", "allChangesForCluster"}


class LikeDocumentDb(LoopbackProxy):
    """Listens on loopback before a mongod; change streams are off until modifyChangeStreams.

    Engines from before March 2025 give no tokens of silence (`has_post_batch_tokens`). With `is_reader` it is
    an instance that lags behind the primary; `ahead_s` is how far the clock that stamps commits is ahead.
    """

    is_reader = False
    ahead_s = 0

    def __init__(self, mongodb_url: str, *, has_post_batch_tokens: bool = True) -> None:
        parts = urlsplit(mongodb_url)
        super().__init__(parts.hostname, parts.port)
        self.url = f"mongodb://{LOOPBACK}:{self.port}/?directConnection=true"
        self.enabled: dict[str, Timestamp] = {}
        self.refused: list[str] = []
        self._has_post_batch_tokens = has_post_batch_tokens

    def enable(self, database: str) -> None:
        """Record the changes of a database from now on."""
        self.enabled.setdefault(database, Timestamp(int(time.time()), 1))

    def disable(self, database: str) -> None:
        """Record none any more."""
        self.enabled.pop(database, None)

    def pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        def take(message: Message) -> None:
            body = message.body
            answer = None if body is None else self._answer(body)
            if answer is not None:
                client.sendall(message.answer(answer).encode())
            elif body is not None and _is_stream(body):
                server.sendall(message.with_body(self._from_enabling_on(body)).encode())
            else:
                server.sendall(message.encode())

        _pump(client, server, take)

    def pump_replies(self, client: socket.socket, server: socket.socket) -> None:
        def take(message: Message) -> None:
            body = message.body
            shown = message if body is None else message.with_body(self._shown(body))
            client.sendall(shown.encode())

        _pump(server, client, take)

    def _answer(self, command: Body) -> Body | None:
        """Return what DocumentDB answers by itself, None where mongod shall."""
        if "modifyChangeStreams" in command:
            (self.enable if command["enable"] else self.disable)(command["database"])
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
        if _is_stream(command):
            stages = [dict(stage) for stage in command["pipeline"]]
            return self._refusal_of_stream(command["$db"], stages)
        return None

    def _refusal_of_stream(self, database: str, stages: list[dict[str, Any]]) -> tuple[int, str] | None:
        used = {name for stage in stages for name in stage}
        if odd := (used - STAGES) | (set(stages[0]["$changeStream"]) - STREAM_OPTIONS):
            return NOT_SUPPORTED, f"Feature not supported: {', '.join(sorted(odd))}"
        if database not in self.enabled:
            return NOT_ENABLED, "modifyChangeStreams has not been run for this collection"
        return None

    def _from_enabling_on(self, command: Body) -> Body:
        """Have a stream begin where changes began to be recorded; nothing tells that it asked for more."""
        first, *others = (dict(stage) for stage in command["pipeline"])
        options = dict(first["$changeStream"])
        if "startAtOperationTime" in options:
            recorded = self.enabled[command["$db"]]
            options["startAtOperationTime"] = max(options["startAtOperationTime"], recorded)
        return command | {"pipeline": [{"$changeStream": options}, *others]}

    def _shown(self, reply: Body) -> Body:
        shown = {name: value for name, value in reply.items() if name != "$clusterTime"}
        if "operationTime" in shown:
            shown["operationTime"] = Timestamp(shown["operationTime"].time, 1)
        if self.is_reader and "isWritablePrimary" in shown:
            shown |= {"isWritablePrimary": False, "secondary": True}
        cursor = dict(shown.get("cursor", {}))
        if "postBatchResumeToken" in cursor:
            if not self._has_post_batch_tokens:
                del cursor["postBatchResumeToken"]
            for batch in {"firstBatch", "nextBatch"} & set(cursor):
                cursor[batch] = [self._shown_event(event) for event in cursor[batch]]
            shown["cursor"] = cursor
        return shown

    def _shown_event(self, event: RawBSONDocument) -> Body:
        shown = {name: value for name, value in event.items() if name != "wallTime"}
        shown["clusterTime"] = Timestamp(shown["clusterTime"].time + self.ahead_s, 1)
        return shown


def _is_stream(command: Body) -> bool:
    pipeline = command.get("pipeline") or [{}]
    return "$changeStream" in pipeline[0]


def _pump(source: socket.socket, sink: socket.socket, take: Any) -> None:
    with suppress(OSError):
        read_messages(source, take)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
