"""Takes what a reader yields into MongoDB, in batches of bounded size, and reports.

A document's `_id` is a readable name of its origin, so that the same source always gives the same `_id`; its
field `ingested_from` names the source as a whole, and pruning touches the documents of that source alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from twin_assets.errors import DocumentRejected
from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS
from twin_assets.operations.ingest.decoding import without_surrogates
from twin_assets.operations.ingest.report import (
    Gone,
    Guessed,
    IngestProgress,
    IngestReport,
    Item,
    Noted,
    ProgressCallback,
    Refused,
    Skipped,
    Taken,
)
from twin_assets.source.writer import INGESTED_FROM, DocumentWriter, StorableDocument, storable

BATCH_DOCUMENTS = 200
BATCH_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 50
DUPLICATE = "the same document again (equal id, link or text)"


def ingest_items(
    items: Iterable[Item],
    writer: DocumentWriter,
    data_type: DataType,
    *,
    source: str,
    prune: bool = False,
    replace: bool = False,
    progress: ProgressCallback | None = None,
) -> IngestReport:
    """Store one source's documents; `prune` deletes what it brought before and no longer has.

    `replace` does so as soon as one was taken: for a source whose documents are parts of one thing.
    Nothing is pruned where a part of the source could not be read and might be one of those documents.
    """
    run = _Run(writer, data_type, source, progress)
    for item in items:
        run.accept(item)
    run.flush()
    run.finish(prune or (replace and run.report.taken > 0))
    return run.report


class _Run:
    """One source on its way in. Holds one batch of documents, and the id of every one seen."""

    def __init__(
        self, writer: DocumentWriter, data_type: DataType, source: str, progress: ProgressCallback | None
    ) -> None:
        self.report = IngestReport(data_type)
        self._writer = writer
        self._source = source
        self._progress = progress
        self._seen: set[str] = set()
        self._gone: list[str] = []
        self._is_whole = True
        self._read = 0
        self._batch: dict[str, tuple[StorableDocument, str]] = {}
        self._batch_bytes = 0

    def accept(self, item: Item) -> None:
        self._read += 1
        match item:
            case Taken():
                self._take(item)
            case Skipped(reason, where):
                self.report.skip(reason, where)
            case Refused(where, reason, document_id):
                self._refuse(where, reason, document_id)
            case Gone(where):
                self._gone.append(where)
            case Noted(text):
                self.report.notes.append(text)
            case Guessed(where):
                self.report.guessed_encoding.add(where)
        self._tell(getattr(item, "where", ""))

    def flush(self) -> None:
        """Write the batch in hand."""
        batch, self._batch, self._batch_bytes = self._batch, {}, 0
        if not batch:
            return
        outcome = self._writer.write(self.report.data_type, [document for document, _ in batch.values()])
        self.report.inserted += outcome.inserted
        self.report.updated += outcome.updated
        self.report.unchanged += outcome.unchanged
        for document_id, reason in outcome.refused.items():
            self.report.refuse(batch[document_id][1], f"MongoDB refused it: {reason}")
        self._tell("")

    def finish(self, prune: bool) -> None:
        if prune and self._is_whole:
            self.report.pruned = self._writer.prune(self.report.data_type, self._source, self._seen)
        elif prune:
            self.report.notes.append(
                f"nothing of {self._source} was pruned: a part of it could not be read; mend it and run again"
            )
        for where in self._gone:
            if self.report.pruned:
                self.report.notes.append(f"{where} is gone, and so is what it had brought")
            else:
                self.report.refuse(where, "there is no such file or folder")

    def _take(self, item: Taken) -> None:
        document_id = item.document["_id"]
        if document_id in self._seen:
            self.report.skip(DUPLICATE, item.where)
            return
        try:
            document = _checked(self.report.data_type, item.document | {INGESTED_FROM: self._source})
        except DocumentRejected as error:
            self._refuse(item.where, error.reason, document_id)
            return
        if self._batch_bytes + len(document.bson) > BATCH_BYTES or len(self._batch) >= BATCH_DOCUMENTS:
            self.flush()
        self._seen.add(document_id)
        self._batch[document_id] = (document, item.where)
        self._batch_bytes += len(document.bson)

    def _refuse(self, where: str, reason: str, document_id: str | None) -> None:
        self.report.refuse(where, reason)
        if document_id is None:
            self._is_whole = False
        else:
            self._seen.add(document_id)

    def _tell(self, where: str) -> None:
        if self._progress is not None:
            self._progress(IngestProgress(read=self._read, written=self.report.taken, where=where))


def _checked(data_type: DataType, document: dict[str, Any]) -> StorableDocument:
    """Encode a document that its model accepts. Raises DocumentRejected naming the field otherwise."""
    key = document["_id"]
    clean = _cleaned(document, key)
    try:
        RAW_MODELS[data_type].model_validate({**clean, "entry": f"str:{key}"})
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise DocumentRejected(stage="ingesting", key=key, reason="; ".join(faults)) from None
    return storable(clean)


def _cleaned(value: Any, key: str, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        reason = f"it is nested deeper than {MAX_DEPTH} levels"
        raise DocumentRejected(stage="ingesting", key=key, reason=reason)
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {without_surrogates(name): _cleaned(part, key, depth + 1) for name, part in value.items()}
    if isinstance(value, list):
        return [_cleaned(part, key, depth + 1) for part in value]
    return value
