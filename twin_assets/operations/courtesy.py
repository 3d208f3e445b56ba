"""Work that can wait lets work that somebody waits for go first."""

from __future__ import annotations

import os
from typing import Literal

Priority = Literal["normal", "low", "idle"]

THIS_THREAD = 0
LOW = 10
LOWEST = 19


def give_way(priority: Priority) -> None:
    """Lower the priority of this thread and of those that it begins, for good; `normal` leaves it as it is.

    `low` takes a small share of a busy processor, `idle` hardly more than what nobody else wants, and steps
    aside at once where `low` first ends its slice. Where the system knows no such policy, `idle` is the
    lowest share. Only processes of one machine, and of one container, give way to each other.
    """
    if priority == "idle" and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(THIS_THREAD, os.SCHED_IDLE, os.sched_param(0))
    elif priority != "normal":
        niceness = LOW if priority == "low" else LOWEST
        # On Linux "the process 0" is the calling thread. Only root could raise the priority again.
        if os.getpriority(os.PRIO_PROCESS, THIS_THREAD) < niceness:
            os.setpriority(os.PRIO_PROCESS, THIS_THREAD, niceness)
