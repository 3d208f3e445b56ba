"""The naive way, as a baseline: a model load per chunk, one text per call, one point per request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid5

from qdrant_client import QdrantClient
from qdrant_client import models as q

from twin_assets.models.chunk import POINT_NAMESPACE
from twin_assets.processing.model_files import find_model

COLLECTION = "naive"


def naive_seconds_per_chunk(url: str, texts: Sequence[str], *, model: str) -> float:
    """Embed and store texts one by one, and return what each took (s)."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - imports torch, which is not counted

    client = QdrantClient(url, check_compatibility=False)
    size = SentenceTransformer(str(find_model(model)), device="cpu").get_embedding_dimension()
    vectors = q.VectorParams(size=size, distance=q.Distance.COSINE)
    client.create_collection(COLLECTION, vectors_config=vectors)
    started = time.perf_counter()
    for text in texts:
        encoder = SentenceTransformer(str(find_model(model)), device="cpu", local_files_only=True)
        vector = encoder.encode(text, show_progress_bar=False)
        point = q.PointStruct(
            id=str(uuid5(POINT_NAMESPACE, text)), vector=vector.tolist(), payload={"text": text}
        )
        client.upsert(COLLECTION, [point], wait=True)
    seconds = (time.perf_counter() - started) / len(texts)
    client.delete_collection(COLLECTION)
    client.close()
    return seconds
