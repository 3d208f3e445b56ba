"""LangChain's `index()` with its Qdrant store and its SQL record manager."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document as ChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import index
from langchain_qdrant import QdrantVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter
from qdrant_client import QdrantClient, models

from benchmarks.peers.child import CHUNK_OVERLAP, CHUNK_SIZE, CountingEncoder, Document, serve

DIMENSION = 384


class ChainEmbeddings(Embeddings):
    """The encoder behind LangChain's interface."""

    def __init__(self, encoder: CountingEncoder) -> None:
        self._encoder = encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.encode(texts)

    def embed_query(self, text: str) -> list[float]:
        return self._encoder.encode([text])[0]


class LangChainPeer:
    """Chunks get ids from their hashes; the record manager remembers which of them stand."""

    def __init__(self, encoder: CountingEncoder, arguments: argparse.Namespace) -> None:
        self._client, self._collection = QdrantClient(arguments.url), arguments.collection
        if not self._client.collection_exists(self._collection):
            distance = models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
            self._client.create_collection(self._collection, vectors_config=distance)
        self._store = QdrantVectorStore(
            self._client,
            self._collection,
            embedding=ChainEmbeddings(encoder),
            validate_collection_config=False,
        )
        self._records = SQLRecordManager(
            f"qdrant/{self._collection}", db_url=f"sqlite:///{arguments.folder}/records.sql"
        )
        self._records.create_schema()
        self._splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP)

    def ingest(self, documents: Sequence[Document]) -> None:
        self._index(documents, "incremental")

    def sync(self, documents: Sequence[Document]) -> None:
        self._index(documents, "full")

    def wanted(self, documents: Sequence[Document]) -> Iterable[tuple[str, str]]:
        # The hash of text and source is the id, so what repeats within a document is one chunk.
        return {(chunk.metadata["source"], chunk.page_content) for chunk in self._chunks(documents)}

    def held(self) -> Iterable[tuple[str, str]]:
        records, _ = self._client.scroll(self._collection, limit=1_000_000, with_payload=True)
        payloads = [record.payload or {} for record in records]
        return [(payload["metadata"]["source"], payload["page_content"]) for payload in payloads]

    def _index(self, documents: Sequence[Document], cleanup: str) -> None:
        index(
            self._chunks(documents),
            self._records,
            self._store,
            cleanup=cleanup,
            source_id_key="source",
            # The only one whose keys Qdrant takes as ids.
            key_encoder="sha1",
        )

    def _chunks(self, documents: Sequence[Document]) -> list[ChainDocument]:
        return self._splitter.split_documents(
            [ChainDocument(each["text"], metadata={"source": each["id"]}) for each in documents]
        )


if __name__ == "__main__":
    serve(LangChainPeer)
