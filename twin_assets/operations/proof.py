"""The proof that a generation may go live: it says what MongoDB says, or readers keep the one they have."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence

from twin_assets.errors import GenerationRejected
from twin_assets.models.base import document_key
from twin_assets.models.generation import Generation
from twin_assets.operations.apply import Applier
from twin_assets.operations.audit import AuditReport, audit
from twin_assets.operations.checks import GATE, CheckResult, check_generation
from twin_assets.operations.twin import Twin

Pause = Callable[[float], None]
HEALING_ROUNDS = 2
PROOF_WAIT_S = 30.0
TELL_AFTER_S = 10.0
# A generation of another recipe is what a rollback is for.
RECIPE_CHECK = "has_current_recipe"

log = logging.getLogger(__name__)


def prove_new(twin: Twin, applier: Applier, generation: Generation, *, pause: Pause = time.sleep) -> None:
    """Audit a new generation down to its vectors; read again what differs. Raises GenerationRejected.

    What differs may have changed during the scan while no stream was running. One that is behind is waited
    for as long as it comes nearer: hours of work are at stake. `pause` waits some seconds, or raises.
    """
    report = _audit(twin, generation, pause=pause)
    for _ in range(HEALING_ROUNDS):
        entries = report.differing_entries()
        if not entries:
            break
        heal(twin, applier, generation, entries)
        report = _audit(twin, generation, pause=pause)
    refuse_unproven(twin, generation, report, checks=GATE)


def prove_known(twin: Twin, generation: Generation, *, with_vectors: bool) -> None:
    """Audit a generation that has been fed all along, whatever its recipe. Raises GenerationRejected."""
    report = _audit(twin, generation, with_vectors=with_vectors)
    refuse_unproven(twin, generation, report, checks=[name for name in GATE if name != RECIPE_CHECK])


def _audit(
    twin: Twin, generation: Generation, *, with_vectors: bool = True, pause: Pause = time.sleep
) -> AuditReport:
    return audit(
        twin,
        generation,
        wait_s=PROOF_WAIT_S,
        moving_s=PROOF_WAIT_S,
        with_vectors=with_vectors,
        pause=_telling(generation, pause),
    )


def _telling(generation: Generation, pause: Pause) -> Pause:
    """Have the log told, once, that a proof has waited for some seconds and what for."""
    waited_s = 0.0

    def wait(seconds: float) -> None:
        nonlocal waited_s
        if waited_s < TELL_AFTER_S <= waited_s + seconds:
            log.warning("the proof of %s waits for the stream, which is behind", generation.collection)
        waited_s += seconds
        pause(seconds)

    return wait


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
