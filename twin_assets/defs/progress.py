"""What the progress of a long run says in the UI: figures per asset, and half a line for the sensor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from twin_assets.defs.names import CHANGES_KEY
from twin_assets.defs.observations import Figures
from twin_assets.defs.supervision import Reporting


def figures_of(progress: Any) -> Figures:
    return {name: value for name, value in asdict(progress).items() if isinstance(value, int | float | str)}


CAPTURE_REPORTING: Reporting[Any] = Reporting(lambda progress: {CHANGES_KEY: figures_of(progress)}, str)
STREAM_REPORTING: Reporting[Any] = Reporting(lambda progress: {CHANGES_KEY: figures_of(progress)}, str)
