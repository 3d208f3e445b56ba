"""Settings with which little text makes many chunks, without a model."""

from __future__ import annotations

from typing import Any

SMALL_CHUNKS: dict[str, Any] = {
    "text_model": "hash-32",
    "code_model": "hash-32",
    "text_chunk_size": 60,
    "text_chunk_overlap": 0,
    "code_chunk_size": 60,
    "code_chunk_overlap": 0,
}
SMALL_FLOW: dict[str, Any] = SMALL_CHUNKS | {
    "rabbitmq_queues": 4,
    "marker_interval_s": 0.2,
    # Rebuilds run in the tests' own process too, and what gives way once does so for good.
    "rebuild_priority": "normal",
}
