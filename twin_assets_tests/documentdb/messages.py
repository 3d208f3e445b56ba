"""MongoDB's wire protocol, as far as a stand-in for another server has to read and write it (OP_MSG)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson import CodecOptions, encode
from bson.raw_bson import RawBSONDocument

OP_MSG = 2013
HEADER = struct.Struct("<iiii")
FLAGS = 4
# Nested documents stay bytes: what is not looked at passes unchanged.
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
Body = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """One message; `payload` is what follows the header."""

    request_id: int
    response_to: int
    opcode: int
    payload: bytes

    @property
    def body(self) -> Body | None:
        """The first level of the body, None for other opcodes."""
        if self.opcode != OP_MSG or self.payload[FLAGS] != 0:
            return None
        return dict(RawBSONDocument(self._body_bytes(), RAW))

    def with_body(self, body: Body) -> Message:
        """Return the same message with another body."""
        rest = self.payload[FLAGS + 1 + len(self._body_bytes()) :]
        payload = self.payload[:FLAGS] + b"\0" + encode(body) + rest
        return Message(self.request_id, self.response_to, self.opcode, payload)

    def answer(self, body: Body) -> Message:
        """Return a reply to this message."""
        return Message(0, self.request_id, OP_MSG, b"\0" * FLAGS + b"\0" + encode(body))

    def encode(self) -> bytes:
        """Return it as it is sent."""
        size = HEADER.size + len(self.payload)
        return HEADER.pack(size, self.request_id, self.response_to, self.opcode) + self.payload

    def _body_bytes(self) -> bytes:
        start = FLAGS + 1
        (size,) = struct.unpack_from("<i", self.payload, start)
        return self.payload[start : start + size]


def read_messages(source: socket.socket, take: Callable[[Message], None]) -> None:
    """Hand on each message until the peer hangs up."""
    with source.makefile("rb") as stream:
        while len(header := stream.read(HEADER.size)) == HEADER.size:
            size, request_id, response_to, opcode = HEADER.unpack(header)
            take(Message(request_id, response_to, opcode, stream.read(size - HEADER.size)))
