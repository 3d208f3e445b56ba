"""The proof that a generation may go live: it says what MongoDB says, or readers keep the one they have."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from twin_assets.errors import GenerationRejected
from twin_assets.models.base import document_key
from twin_assets.models.generation import Generation
from twin_assets.operations.apply import Applier
from twin_assets.operations.audit import AuditReport, audit
from twin_assets.operations.checks import GATE, CheckResult, check_generation
from twin_assets.operations.twin import Twin

HEALING_ROUNDS = 2
PROOF_WAIT_S = 30.0
# A generation of another recipe is what a rollback is for.
RECIPE_CHECK = "has_current_recipe"


def prove_new(twin: Twin, applier: Applier, generation: Generation) -> None:
    """Audit a new generation down to its vectors; read again what differs. Raises GenerationRejected.

    What differs may have changed during the scan while no stream was running.
    """
    report = audit(twin, generation, wait_s=PROOF_WAIT_S, with_vectors=True)
    for _ in range(HEALING_ROUNDS):
        entries = report.differing_entries()
        if not entries:
            break
        heal(twin, applier, generation, entries)
        report = audit(twin, generation, wait_s=PROOF_WAIT_S, with_vectors=True)
    refuse_unproven(twin, generation, report, checks=GATE)


def prove_known(twin: Twin, generation: Generation, *, with_vectors: bool) -> None:
    """Audit a generation that has been fed all along, whatever its recipe. Raises GenerationRejected."""
    report = audit(twin, generation, wait_s=PROOF_WAIT_S, with_vectors=with_vectors)
    refuse_unproven(twin, generation, report, checks=[name for name in GATE if name != RECIPE_CHECK])


def refuse_unproven(
    twin: Twin, generation: Generation, report: AuditReport, *, checks: Collection[str]
) -> None:
    """Raise GenerationRejected, with the figures, unless every check passes."""
    results = check_generation(twin, generation, report)
    failed = [result for result in results if result.check in checks and not result.passed]
    if failed:
        figures = {result.check: result.metadata for result in failed}
        raise GenerationRejected(generation.collection, [_in_short(result) for result in failed], figures)


def heal(twin: Twin, applier: Applier, generation: Generation, entries: Sequence[str]) -> None:
    """Bring some documents into a generation anew."""
    read = twin.source.read({generation.type: entries})
    forced = [document_key(generation.type, entry) for entry in entries]
    applier.apply(applier.batch_of(read, targets={generation.type: [generation]}, forced=forced))


def _in_short(result: CheckResult) -> str:
    """Say what a failed check counted, with the ids it names: `matches_source (missing 2: int:1, int:7)`."""
    figures = []
    for name, value in result.metadata.items():
        ids = result.metadata.get(f"{name}_ids")
        if isinstance(value, int) and value and isinstance(ids, list):
            figures.append(f"{name} {value}: {', '.join(ids)}")
    note = result.metadata.get("note")
    return f"{result.check} ({'; '.join(figures) or note or 'no figures'})"
