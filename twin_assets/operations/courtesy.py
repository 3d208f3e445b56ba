"""Work that can wait lets work that somebody waits for go first."""

from __future__ import annotations

import os

THIS_THREAD = 0


def give_way(niceness: int) -> None:
    """Lower the priority of this thread and of those that it begins, for good; 0 leaves it as it is.

    Only processes of one machine give way to each other; who runs a rebuild elsewhere takes nothing from the
    stream.
    """
    # On Linux "the process 0" is the calling thread. Only root could raise the priority again.
    if os.getpriority(os.PRIO_PROCESS, THIS_THREAD) < niceness:
        os.setpriority(os.PRIO_PROCESS, THIS_THREAD, niceness)
