"""Every error that twin_assets raises on purpose.

TwinError
├── ConfigurationError          exit 2: a setting, or state that contradicts it
│   ├── ChangesNotRecorded      DocumentDB records no changes until it is told to
│   └── CollectionsUnknown      Qdrant is full, and MongoDB has no record of it
├── ServerUnavailable           exit 3: a server does not answer; the long runs wait and retry
│   ├── SourceUnavailable       MongoDB
│   │   └── ClusterTimeUnknown  it does not take the time that it gave for its own
│   ├── BrokerUnavailable       RabbitMQ
│   │   ├── BrokerStalled       it answers, but takes or gives no messages
│   │   └── QueuesMissing       what they held is lost: publish everything anew
│   └── StoreUnavailable        Qdrant
├── DocumentRejected            poison: goes to the dead letters, its neighbours go on
├── MalformedMessage            a message that cannot be decoded
├── UnsupportedId               an _id of a kind that has no entry
├── ClusterReplaced             another replica set answers at MongoDB's address
├── ClusterTimeWentBack         MongoDB is older than what Qdrant already holds
├── PositionLost                the change stream cannot be resumed where it stood
├── ModelUnavailable            a model that a recipe names cannot be loaded
├── GenerationMissing           the registry names a collection that Qdrant does not have
├── NoLiveGeneration            a collection that readers ask for has not been built yet
├── GenerationRejected          the checks on a generation failed; the live one stays
├── UnknownDocument             exit 2: nothing knows the document that was named
├── AmbiguousId                 exit 2: several documents have the id that was named
├── NotApplied                  a change was made, and nobody applies it
├── BackupDamaged               a backup lacks a part, or a part is not what was written
├── BackupUnreachable           exit 3: the folder of backups cannot be read or written
└── StackError                  the local stack cannot start or stop a server
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


class TwinError(Exception):
    """Root of the tree; its text is one line that says what is wrong and what to do."""

    exit_code = 1


class ConfigurationError(TwinError):
    """Raised when a setting is wrong, or contradicts what the servers already hold."""

    exit_code = 2


class ChangesNotRecorded(ConfigurationError):
    """Raised when DocumentDB records no changes of a database: no stream will tell what is written now."""

    def __init__(self, database: str) -> None:
        super().__init__(
            f"DocumentDB records no changes of {database} yet: `twin prepare-source` switches that on"
        )


class CollectionsUnknown(ConfigurationError):
    """Raised when Qdrant has collections of ours and MongoDB no record of any: it would have them emptied."""

    def __init__(self, collections: Sequence[str], database: str) -> None:
        others = f" and {len(collections) - 1} more" if collections[1:] else ""
        super().__init__(
            f"Qdrant has {collections[0]}{others}, and MongoDB's {database} knows none: MongoDB was lost, or "
            "TWIN_MONGODB_URL names another one. Nothing is touched; docs/operations.md, Restore, MongoDB as "
            "a whole, says what to do"
        )


class ServerUnavailable(TwinError):
    """Raised when a server does not answer; never a reason to reject a document."""

    exit_code = 3
    server = "server"

    def __init__(self, where: str, reason: object = "") -> None:
        detail = f" ({reason})" if str(reason) else ""
        super().__init__(
            f"{self.server} at {where} cannot be reached{detail}; start it with `twin up` or check its URL"
        )


class SourceUnavailable(ServerUnavailable):
    """Raised when MongoDB does not answer, or is not a writable replica set member."""

    server = "MongoDB"


class ClusterTimeUnknown(SourceUnavailable):
    """Raised when MongoDB does not know the key that signed the latest time which this process was told."""

    def __init__(self, where: str) -> None:
        super(ServerUnavailable, self).__init__(
            f"MongoDB at {where} refuses the latest time that it gave out: it has only just started, or is "
            "another replica set with a clock behind; if this lasts, start this again"
        )


class BrokerUnavailable(ServerUnavailable):
    """Raised when RabbitMQ does not answer or refuses to confirm a message."""

    server = "RabbitMQ"


class BrokerStalled(BrokerUnavailable):
    """Raised when RabbitMQ answers, but takes or gives no messages; `reason` says what to do."""

    def __init__(self, where: str, reason: str) -> None:
        super(ServerUnavailable, self).__init__(f"RabbitMQ at {where}: {reason}")


class QueuesMissing(BrokerUnavailable):
    """Raised when a queue of ours does not exist: what it held is lost, so publish every id again."""

    def __init__(self, where: str, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        super(ServerUnavailable, self).__init__(
            f"RabbitMQ at {where} has no queue {', '.join(self.names)}; (re)start capture, which declares it "
            "and publishes every document again"
        )


class StoreUnavailable(ServerUnavailable):
    """Raised when Qdrant does not answer or fails to apply a request."""

    server = "Qdrant"


class DocumentRejected(TwinError):
    """Raised when one document cannot be processed; `reason` never contains its text."""

    def __init__(self, *, stage: str, key: str, reason: str) -> None:
        super().__init__(f"{key} was rejected while {stage}: {reason}")
        self.stage = stage
        self.key = key
        self.reason = reason


class MalformedMessage(TwinError):
    """Raised when a message body is not a change or a marker of a version this code reads."""


class UnsupportedId(TwinError):
    """Raised when a document's _id is neither ObjectId, UUID, int nor str of a sane length."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"an _id of kind {kind} is not supported; use ObjectId, UUID, int or str")


class ClusterReplaced(TwinError):
    """Raised when a new replica set has taken the old one's place: a driver that knew that one refuses it."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"MongoDB at {where} is another replica set than at the start of this, or a member left behind; "
            "start this again, and if MongoDB was lost, see docs/operations.md, Restore"
        )


class ClusterTimeWentBack(TwinError):
    """Raised when MongoDB's operation time is below a revision that is already stored."""

    def __init__(self, *, stored: int, now: int) -> None:
        super().__init__(
            f"MongoDB's operation time {now} is below the stored revision {stored}: this is another cluster, "
            "a restored backup or a clock set back; point TWIN_MONGODB_URL at the right cluster, wait for "
            "its clock, or fill an empty Qdrant: docs/operating.md, An older MongoDB, says how"
        )


class PositionLost(TwinError):
    """Raised when the change stream cannot go on where it stood; a new snapshot is the cure."""


class ModelUnavailable(TwinError):
    """Raised when the weights of the model that a recipe names are not at hand."""

    exit_code = 2

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"the model {model} cannot be loaded ({reason}); install it, set its path, or choose another"
        )


class GenerationMissing(TwinError):
    """Raised when a collection that the registry lists is not in Qdrant."""

    def __init__(self, collection: str) -> None:
        super().__init__(f"Qdrant has no collection {collection}, although it is registered; rebuild it")
        self.collection = collection


class NoLiveGeneration(TwinError):
    """Raised when readers ask for a collection that nobody has built yet."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"Qdrant has no {alias} yet; start the stream (`twin dev`), or run `twin rebuild`")


class GenerationRejected(TwinError):
    """Raised when a generation did not pass its checks; readers keep the live one.

    `figures` holds the metadata of each failed check.
    """

    def __init__(
        self, collection: str, failed: Iterable[str], figures: Mapping[str, Mapping[str, object]]
    ) -> None:
        super().__init__(
            f"{collection} did not pass and stays for inspection (`twin generations inspect {collection}`), "
            f"the live one stays live: {', '.join(failed)}"
        )
        self.figures = figures


class UnknownDocument(TwinError):
    """Raised when neither MongoDB nor anything else holds the document that was named."""

    exit_code = 2

    def __init__(self, collection: str, document_id: str) -> None:
        super().__init__(
            f"{collection} has no document {document_id!r}, and no collection and no dead letter names one: "
            "the id is wrong, or it was deleted so long ago that its tombstone has been swept"
        )


class AmbiguousId(TwinError):
    """Raised when an id without its kind fits several documents."""

    exit_code = 2

    def __init__(self, collection: str, entries: Iterable[str]) -> None:
        super().__init__(f"{collection} has several documents with this id; say which: {', '.join(entries)}")


class NotApplied(TwinError):
    """Raised when a change has not been applied everywhere in time; it stays in the queue."""

    def __init__(self, what: str, *, limit_s: float, reason: str) -> None:
        super().__init__(
            f"{what}, but that was not applied everywhere within {limit_s:g} s: {reason}; see that capture "
            "and stream run (`twin status`), then give the same command again"
        )


class BackupDamaged(TwinError):
    """Raised when a backup is incomplete, or holds something else than was put into it."""

    def __init__(self, where: Path, reason: str) -> None:
        super().__init__(f"{where}: {reason}")


class BackupUnreachable(TwinError):
    """Raised when the folder of backups cannot be read or written."""

    exit_code = 3

    def __init__(self, error: OSError, root: Path) -> None:
        super().__init__(
            f"{error.filename or root}: {error.strerror or error}; see that the backups' folder exists, has "
            "room and belongs to whoever runs this"
        )


class StackError(TwinError):
    """Raised when the local stack cannot find, start or stop one of its servers."""

    exit_code = 3
