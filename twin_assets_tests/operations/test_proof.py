"""The proof before readers see another generation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from twin_assets.errors import GenerationRejected
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import proof
from twin_assets.operations.audit import AuditReport, audit
from twin_assets_tests.operations.auditing import change, move_watermark, post

pytestmark = pytest.mark.servers


def audit_on_the_clock_of_its_pauses(
    *args: Any, pause: Callable[[float], None], **options: Any
) -> AuditReport:
    """The audit, for which time passes while it waits and not otherwise, however busy the machine is."""
    paused_s = [0.0]

    def wait(seconds: float) -> None:
        pause(seconds)
        paused_s.append(seconds)

    return audit(*args, pause=wait, clock=lambda: sum(paused_s), **options)


def test_it_says_once_that_it_waits_for_the_stream_and_refuses_what_stays_behind(
    twin, documents, apply, monkeypatch, caplog
):
    documents.posts.insert_many([post(1), post(2)])
    apply([change(1)])
    move_watermark(twin, ahead_s=-1000)
    live = twin.live_generation(Snapshot.VECTOR, DataType.POSTS)
    monkeypatch.setattr(proof, "audit", audit_on_the_clock_of_its_pauses)
    monkeypatch.setattr(proof, "PROOF_WAIT_S", 0.35)
    monkeypatch.setattr(proof, "TELL_AFTER_S", 0.15)
    with pytest.raises(GenerationRejected, match="missing 1: int:2"):
        proof.prove_known(twin, live, with_vectors=False)
    assert caplog.text.count(f"the proof of {live.collection} waits for the stream") == 1
