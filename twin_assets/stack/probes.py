"""The least one must say to a server to learn that it is there and speaks its protocol."""

from __future__ import annotations

import socket
import struct

from twin_assets.stack.ports import LOOPBACK

AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
AMQP_METHOD_FRAME = 1
AMQP_CONNECTION_START = (10, 10)
EPMD_NAMES_REQUEST = b"\x00\x01n"
TIMEOUT_S = 2.0


def answers_amqp(port: int) -> bool:
    """Say whether an AMQP 0-9-1 broker answers our greeting with Connection.Start."""
    reply = _ask(port, AMQP_GREETING, 11)
    if len(reply) < 11 or reply[0] != AMQP_METHOD_FRAME:
        return False
    return struct.unpack(">HH", reply[7:11]) == AMQP_CONNECTION_START


def answers_epmd(port: int) -> bool:
    """Say whether Erlang's port mapper answers with its own port."""
    reply = _ask(port, EPMD_NAMES_REQUEST, 4)
    return reply == struct.pack(">I", port)


def _ask(port: int, question: bytes, length: int) -> bytes:
    reply = b""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_S) as connection:
            connection.sendall(question)
            while len(reply) < length and (part := connection.recv(length - len(reply))):
                reply += part
    except OSError:
        pass
    return reply
