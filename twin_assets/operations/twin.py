"""The composition root: everything that an operation works on, opened once and closed by one owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from twin_assets.broker.dead_letters import DeadLetters
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.models.generation import Generation, GenerationStatus
from twin_assets.settings import Settings
from twin_assets.source.audits import AuditStates
from twin_assets.source.client import connect
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore
from twin_assets.source.writer import DocumentWriter
from twin_assets.store.generations import GenerationCollections
from twin_assets.store.point_store import PointStore, open_store

if TYPE_CHECKING:
    from twin_assets.models.kinds import DataType, Snapshot


class Twin:
    """The open connections to all three servers. Lazy: a server is reached for when first needed."""

    def __init__(self, settings: Settings, resources: ExitStack) -> None:
        self.settings = settings
        self._resources = resources

    @cached_property
    def source(self) -> DocumentSource:
        """The documents in MongoDB."""
        return DocumentSource(self._mongo, self.settings.mongodb_database)

    @cached_property
    def meta(self) -> MetaStore:
        """Our own records in MongoDB."""
        return MetaStore(self._mongo, self.settings.meta_database)

    @cached_property
    def audits(self) -> AuditStates:
        """How far the audits have come."""
        return AuditStates(self._mongo, self.settings.meta_database)

    @cached_property
    def store(self) -> PointStore:
        """The points in Qdrant."""
        return self._resources.enter_context(open_store(self.settings))

    @cached_property
    def collections(self) -> GenerationCollections:
        """The collections in Qdrant."""
        return GenerationCollections(self.store)

    @cached_property
    def publisher(self) -> ChangePublisher:
        """The way into the queues. Only capture creates those: it must see that they were lost."""
        url = self.settings.require_url("rabbitmq_url")
        publisher = ChangePublisher(url, queues=self.settings.rabbitmq_queues, declare=False)
        return self._resources.enter_context(publisher)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """What could not be processed."""
        return self._resources.enter_context(DeadLetters(self.settings.require_url("rabbitmq_url")))

    @cached_property
    def writer(self) -> DocumentWriter:
        """The way into the source, for ingesting people's material."""
        return DocumentWriter(self._mongo, self.settings.mongodb_database)

    @cached_property
    def _mongo(self):  # type: ignore[no-untyped-def] # the client's type stays behind the source's door
        url, settings = self.settings.require_url("mongodb_url"), self.settings
        client = connect(url, dialect=settings.mongodb_dialect, log_hours=settings.mongodb_log_hours)
        return self._resources.enter_context(client)

    def live_generation(self, snapshot: Snapshot, data_type: DataType) -> Generation | None:
        """Return the generation that readers see, as the registry has it."""
        for generation in self.meta.generations(data_type):
            if generation.snapshot is snapshot and generation.status is GenerationStatus.LIVE:
                return generation
        return None


@contextmanager
def open_twin(settings: Settings) -> Iterator[Twin]:
    """Open everything that an operation needs; what was opened is closed at the end."""
    with ExitStack() as resources:
        yield Twin(settings, resources)
