"""What the exit code of every command means."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The codes of `twin`; a TwinError carries its own."""

    WELL = 0
    CHECK_FAILED = 1
    WRONG_USAGE = 2
    SERVER_UNREACHABLE = 3
