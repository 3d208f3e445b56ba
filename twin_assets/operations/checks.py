"""The checks: the same predicates on every collection that readers see, and on one before they see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from twin_assets.errors import CollectionsUnknown
from twin_assets.models.generation import Generation, alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.audit import AuditReport
from twin_assets.operations.predicates import (
    PREDICATES,
    DeadLetterList,
    Metadata,
    Subject,
    rebuild_command,
)
from twin_assets.operations.recognize import require_known
from twin_assets.operations.twin import Twin

CHECKS = tuple(PREDICATES)
# What a generation answers for by itself; lag and dead letters are about the flow.
GATE = ("matches_source", "is_complete", "has_current_recipe", "vectors_are_sound")
# These read every text, so that nothing altered passes; the others are content with its hashes.
DEEP = frozenset({"matches_source", "vectors_are_sound"})
ALL_COLLECTIONS = tuple((snapshot, data_type) for data_type in DataType for snapshot in Snapshot)


@dataclass(frozen=True)
class CheckResult:
    """One predicate on one collection, such as `qdrant/vector_posts`. `metadata` holds ids, never text."""

    asset: str
    check: str
    passed: bool
    metadata: Metadata = field(default_factory=dict)


def evaluate_checks(
    twin: Twin,
    collections: Iterable[tuple[Snapshot, DataType]] | None = None,
    names: Collection[str] | None = None,
    *,
    wait_s: float = 30,
    since_last: bool = False,
) -> list[CheckResult]:
    """Evaluate checks (all by default) on the live generations of collections (all by default).

    Each audit waits up to `wait_s` for changes on their way, and with `since_last` looks at what changed and
    at a slice of the rest alone. Raises ServerUnavailable where a server is down.
    """
    letters = DeadLetterList(twin)
    wanted = [name for name in CHECKS if names is None or name in names]
    return [
        result
        for snapshot, data_type in (ALL_COLLECTIONS if collections is None else collections)
        for result in _evaluate(
            twin, snapshot, data_type, wanted, letters=letters, wait_s=wait_s, since_last=since_last
        )
    ]


def check_generation(twin: Twin, generation: Generation, report: AuditReport) -> list[CheckResult]:
    """Evaluate the checks that decide whether a new generation may go live, from its audit with vectors."""
    subject = Subject(twin, generation, DeadLetterList(twin))
    subject.report = report
    return [_result(generation.alias, name, subject) for name in GATE]


def _evaluate(
    twin: Twin,
    snapshot: Snapshot,
    data_type: DataType,
    names: Collection[str],
    *,
    letters: DeadLetterList,
    wait_s: float,
    since_last: bool,
) -> list[CheckResult]:
    alias = alias_of(snapshot, data_type)
    live = twin.live_generation(snapshot, data_type)
    note = _why_unreadable(twin, live, alias, data_type)
    if live is None or note:
        return [CheckResult(f"qdrant/{alias}", name, passed=False, metadata={"note": note}) for name in names]
    is_deep = bool(DEEP & set(names))
    subject = Subject(
        twin, live, letters, with_vectors=is_deep, wait_s=wait_s, since_last=since_last and is_deep
    )
    return [_result(alias, name, subject) for name in names]


def _result(alias: str, name: str, subject: Subject) -> CheckResult:
    verdict = PREDICATES[name](subject)
    return CheckResult(f"qdrant/{alias}", name, verdict.passed, verdict.metadata)


def _why_unreadable(twin: Twin, live: Generation | None, alias: str, data_type: DataType) -> str:
    rebuild = rebuild_command(data_type)
    if live is None:
        try:
            require_known(twin)
        except CollectionsUnknown as error:
            return str(error)
        return f"{alias} has no live generation yet; start the stream (`twin dev`) or run {rebuild}"
    if not twin.collections.exists(live.collection):
        return f"Qdrant has lost {live.collection}; restart the stream, or run {rebuild}"
    seen = twin.collections.aliases().get(alias, "nothing")
    if seen != live.collection:
        return f"readers of {alias} see {seen}, not {live.collection}; restart the stream, which mends it"
    return ""
