"""The six predicates on a generation, true when it is healthy; most of them read one shared audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from twin_assets.broker.letter_reader import StoredLetter
from twin_assets.errors import ModelUnavailable
from twin_assets.models.generation import Generation
from twin_assets.models.kinds import DataType
from twin_assets.operations.audit import SHOWN, AuditReport, audit
from twin_assets.operations.differences import ON_THEIR_WAY, Difference
from twin_assets.operations.freshness import BEHIND, NEVER, read_freshness
from twin_assets.operations.since_last import audit_since_last
from twin_assets.operations.twin import Twin
from twin_assets.operations.watermark import watermark_lag_s
from twin_assets.processing.recipes import recipe_of
from twin_assets.store.inspection import Inspection

Metadata = dict[str, int | float | str | list[str]]
LETTERS_AT_MOST = 100_000
SOURCE_KINDS = (Difference.MISSING, Difference.ORPHAN, Difference.STALE, Difference.EDITED)
WHOLENESS_KINDS = (Difference.INCOMPLETE, Difference.HEADLESS, Difference.SURVIVING_TOMBSTONE)
REPAIR = "`twin repair` has the stream process these documents again"


@dataclass(frozen=True)
class Verdict:
    """Whether a predicate holds, and the figures behind it: ids, never text."""

    passed: bool
    metadata: Metadata = field(default_factory=dict)


class DeadLetterList:
    """The dead letters, read once for all collections."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    @cached_property
    def _letters(self) -> list[StoredLetter]:
        return self._twin.dead_letters.peek(LETTERS_AT_MOST)

    def of_type(self, data_type: DataType) -> list[str]:
        """Return the entries of a type's letters, oldest first."""
        return [stored.letter.entry or "?" for stored in self._letters if stored.letter.type is data_type]

    def without_type(self) -> int:
        """Count the letters of messages that name no document."""
        return sum(stored.letter.type is None for stored in self._letters)


@dataclass
class Subject:
    """One generation under examination; the audit is made once, when first asked for."""

    twin: Twin
    generation: Generation
    letters: DeadLetterList
    with_vectors: bool = True
    wait_s: float = 30.0
    since_last: bool = False

    @cached_property
    def report(self) -> AuditReport:
        """The audit that all predicates share."""
        make = audit_since_last if self.since_last else audit
        return make(self.twin, self.generation, wait_s=self.wait_s, with_vectors=self.with_vectors)


def matches_source(subject: Subject) -> Verdict:
    """Every document of MongoDB is here as it is now, unaltered, and nothing else; refused ones are shown."""
    report = subject.report
    unprocessable: Metadata = {
        "quarantined": report.quarantined,
        "unprocessable": report.count(Difference.UNPROCESSABLE),
        "unprocessable_ids": report.first(Difference.UNPROCESSABLE),
    }
    size: Metadata = {"source": report.source, "documents": report.heads, "in_flight": report.in_flight}
    return _verdict(report, SOURCE_KINDS, size | unprocessable)


def is_complete(subject: Subject) -> Verdict:
    """Every document has all its chunks, every chunk its document, and no tombstone a chunk or text."""
    report = subject.report
    return _verdict(report, WHOLENESS_KINDS, {"documents": report.heads, "chunks": report.chunks})


def has_current_recipe(subject: Subject) -> Verdict:
    """Every point was made by the recipe that the settings say; one that was not asks for a rebuild."""
    generation = subject.generation
    inspection = Inspection(subject.twin.store, generation.collection)
    counts = inspection.count_by_recipe(generation.recipe.short)
    metadata: Metadata = {"recipes": [f"{recipe or 'none'}: {count}" for recipe, count in counts.items()]}
    try:
        expected = recipe_of(subject.twin.settings, generation.snapshot, generation.type).short
    except ModelUnavailable as error:
        return Verdict(passed=False, metadata=metadata | {"note": str(error)})
    metadata |= {"expected": expected, "points": sum(counts.values()), "current": counts.get(expected, 0)}
    passed = set(counts) | {generation.recipe.short} == {expected}
    if "report" in vars(subject):  # made for another check already
        metadata |= _figures(subject.report, (Difference.WRONG_RECIPE,))
    if not passed:
        metadata["note"] = f"materialize qdrant/{generation.alias} or run {rebuild_command(generation.type)}"
    return Verdict(passed, metadata)


def is_caught_up(subject: Subject) -> Verdict:
    """The latest changes have arrived within the time that the settings allow, and did so in the last hour.

    A percentile counts too since checks run once an hour: one that saw only its own moment would miss what
    went wrong between two.
    """
    twin, limit_s = subject.twin, subject.twin.settings.lag_slo_s
    lag_s, fresh = watermark_lag_s(twin), read_freshness(twin.meta, twin.settings)
    metadata: Metadata = {"limit_s": limit_s, **fresh.figures()}
    if lag_s is None:
        return Verdict(passed=False, metadata=metadata | {"note": NEVER})
    metadata["lag_s"] = lag_s
    passed = lag_s <= limit_s and not fresh.is_late(limit_s)
    if not passed:
        metadata["note"] = fresh.note(limit_s) or BEHIND
    return Verdict(passed, metadata)


def vectors_are_sound(subject: Subject) -> Verdict:
    """Every vector is finite, of norm 1 and the one that was stored; a cleaned collection has none."""
    report = subject.report
    size: Metadata = {"documents": report.heads, "chunks": report.chunks}
    return _verdict(report, (Difference.UNSOUND_VECTOR,), size)


def has_no_dead_letters(subject: Subject) -> Verdict:
    """No document of this type was left behind; a message that nobody could decode counts for every type."""
    entries = subject.letters.of_type(subject.generation.type)
    undecodable = subject.letters.without_type()
    metadata: Metadata = {
        "dead_letters": len(entries),
        "entries": list(dict.fromkeys(entries))[:SHOWN],
        "undecodable": undecodable,
    }
    passed = not entries and not undecodable
    if not passed:
        metadata["note"] = "`twin dead-letters list` says why; `twin dead-letters replay` tries again"
    return Verdict(passed, metadata)


PREDICATES: dict[str, Callable[[Subject], Verdict]] = {
    predicate.__name__: predicate
    for predicate in (
        matches_source,
        is_complete,
        has_current_recipe,
        is_caught_up,
        vectors_are_sound,
        has_no_dead_letters,
    )
}


def rebuild_command(data_type: DataType) -> str:
    """Return what an operator types to rebuild a type."""
    return f"`twin rebuild {data_type.value}`"


def _verdict(report: AuditReport, kinds: Iterable[Difference], size: Metadata) -> Verdict:
    metadata = size | {"scope": report.scope} | _figures(report, kinds)
    passed = not report.count(*kinds)
    if not passed:
        metadata["note"] = REPAIR if report.confirmed else ON_THEIR_WAY
    return Verdict(passed, metadata)


def _figures(report: AuditReport, kinds: Iterable[Difference]) -> Metadata:
    """Return the count of each kind, and the first ids of those that occur."""
    figures: Metadata = {kind.value: report.count(kind) for kind in kinds}
    ids: Metadata = {f"{kind.value}_ids": report.first(kind) for kind in kinds if report.count(kind)}
    return figures | ids
