"""What a run of capture tells of itself."""

from __future__ import annotations

from twin_assets.operations.capture_progress import CaptureProgress


def test_progress_reads_as_half_a_line() -> None:
    progress = CaptureProgress(published=3)
    assert str(progress) == "publishing every document, 3 so far"
    assert str(CaptureProgress(waiting_for="MongoDB")) == "waiting for MongoDB"
    assert "behind" in str(CaptureProgress(snapshot_done=True))
