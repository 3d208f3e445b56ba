"""LlamaIndex's IngestionPipeline with its Qdrant store, its docstore and the upsert strategies."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from llama_index.core import Document as IndexDocument
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.vector_stores.qdrant import QdrantVectorStore
from pydantic import PrivateAttr
from qdrant_client import QdrantClient

from benchmarks.peers.child import BATCH, CHUNK_OVERLAP, CHUNK_SIZE, CountingEncoder, Document, serve

DOCSTORE = "docstore.json"


class IndexEmbeddings(BaseEmbedding):
    """The encoder behind LlamaIndex's interface."""

    _encoder: CountingEncoder = PrivateAttr()

    def __init__(self, encoder: CountingEncoder, **fields: Any) -> None:
        super().__init__(embed_batch_size=BATCH, **fields)
        self._encoder = encoder

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.encode(texts)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._encoder.encode([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class LlamaIndexPeer:
    """The docstore remembers the hash of each document, and is written to disk after each run."""

    def __init__(self, encoder: CountingEncoder, arguments: argparse.Namespace) -> None:
        self._client, self._collection = QdrantClient(arguments.url), arguments.collection
        self._store = QdrantVectorStore(collection_name=self._collection, client=self._client)
        self._path = str(arguments.folder / DOCSTORE)
        known = (arguments.folder / DOCSTORE).exists()
        self._docstore = SimpleDocumentStore.from_persist_path(self._path) if known else SimpleDocumentStore()
        # Sizes are counted in what the tokenizer returns: characters here.
        self._splitter = SentenceSplitter(
            chunk_size=CHUNK_SIZE, chunk_overlap=CHUNK_OVERLAP, tokenizer=list, include_metadata=False
        )
        self._embeddings = IndexEmbeddings(encoder)

    def ingest(self, documents: Sequence[Document]) -> None:
        self._run(documents, DocstoreStrategy.UPSERTS)

    def sync(self, documents: Sequence[Document]) -> None:
        self._run(documents, DocstoreStrategy.UPSERTS_AND_DELETE)

    def wanted(self, documents: Sequence[Document]) -> Iterable[tuple[str, str]]:
        nodes = self._splitter.get_nodes_from_documents(_documents(documents))
        return [(str(node.ref_doc_id), node.get_content()) for node in nodes]

    def held(self) -> Iterable[tuple[str, str]]:
        return [(str(node.ref_doc_id), node.get_content()) for node in self._store.get_nodes()]

    def _run(self, documents: Sequence[Document], strategy: DocstoreStrategy) -> None:
        pipeline = IngestionPipeline(
            transformations=[self._splitter, self._embeddings],
            docstore=self._docstore,
            vector_store=self._store,
            docstore_strategy=strategy,
            disable_cache=True,
        )
        pipeline.run(documents=_documents(documents))
        self._docstore.persist(self._path)


def _documents(documents: Sequence[Document]) -> list[IndexDocument]:
    return [IndexDocument(id_=each["id"], text=each["text"]) for each in documents]


if __name__ == "__main__":
    serve(LlamaIndexPeer)
