"""Which long runs to start, to give up and to end: a pure decision over what Dagster knows of the runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dagster import DagsterRunStatus as Status

FAST_FAILURE_S = 60.0
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
# To launch a process or a container takes longer than a beat.
LAUNCH_FACTOR = 3

WAITING = frozenset({Status.QUEUED, Status.NOT_STARTED, Status.STARTING})
AT_WORK = frozenset({Status.STARTED, Status.CANCELING})
ACTIVE = WAITING | AT_WORK


@dataclass(frozen=True)
class RunView:
    """What a decision needs to know of a run; all times in seconds since the epoch."""

    run_id: str
    share: str
    status: Status
    changed_s: float
    started_s: float | None = None
    ended_s: float | None = None
    beat_s: float | None = None
    replicas: str | None = None
    progress: str = ""

    @property
    def sign_of_life_s(self) -> float:
        """The last time at which this run is known to have been alive."""
        known = [moment for moment in (self.started_s, self.beat_s) if moment is not None]
        return max(known, default=self.changed_s)

    @property
    def lifetime_s(self) -> float:
        """How long a run that is over, or given up, has worked."""
        if self.started_s is None:
            return 0.0
        return self.sign_of_life_s - self.started_s if self.beat_s else self._end_s - self.started_s

    @property
    def _end_s(self) -> float:
        return self.ended_s if self.ended_s is not None else self.sign_of_life_s


@dataclass(frozen=True)
class Finding:
    """A run, and in one line what is to happen to it and why."""

    run: RunView
    reason: str


@dataclass
class Decision:
    """What to do now: give up `dead` runs, ask the `surplus` ones to end, start a run per `missing` share."""

    dead: list[Finding] = field(default_factory=list)
    surplus: list[Finding] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Upkeep:
    """The desired runs: one per share, each seen alive within `limit_s`."""

    shares: Sequence[str]
    limit_s: float
    replicas: str = "1"

    def decide(self, runs: Sequence[RunView], *, now_s: float, error_of: Callable[[str], str]) -> Decision:
        """Decide on all runs of one job; `error_of` names the last error of a failed run."""
        decision = Decision()
        for run in runs:
            reason = self._is_dead(run, now_s)
            if reason:
                decision.dead.append(Finding(run, reason))
        dead = {finding.run.run_id for finding in decision.dead}
        alive = [run for run in runs if run.status in ACTIVE and run.run_id not in dead]
        decision.surplus.extend(self._surplus(alive))
        for share in self.shares:
            holders = [run for run in alive if run.share == share]
            if holders:
                decision.notes.append(_describe(_holder(holders), now_s))
            else:
                self._replace(share, [run for run in runs if run.share == share], decision, now_s, error_of)
        return decision

    def _is_dead(self, run: RunView, now_s: float) -> str:
        silence = _silence(run, limit_s=self.limit_s, now_s=now_s)
        if silence:
            return silence
        waited_s = now_s - run.changed_s
        if run.status in {Status.STARTING, Status.NOT_STARTED} and waited_s > LAUNCH_FACTOR * self.limit_s:
            return f"did not start within {waited_s:.0f} s: its launch was lost"
        return ""

    def _surplus(self, alive: Sequence[RunView]) -> Iterator[Finding]:
        for run in alive:
            holder = _holder([other for other in alive if other.share == run.share])
            if run.share not in self.shares:
                yield Finding(run, f"{run.share} is not among the {len(self.shares)} desired runs any more")
            elif run.replicas is not None and run.replicas != self.replicas:
                yield Finding(run, f"the replicas were {run.replicas} and are {self.replicas} now")
            elif run is not holder and run.status is Status.STARTED:
                yield Finding(run, f"{run.share} is held by run {holder.run_id[:8]}")

    def _replace(
        self,
        share: str,
        past: Sequence[RunView],
        decision: Decision,
        now_s: float,
        error_of: Callable[[str], str],
    ) -> None:
        failures = _fast_failures(past)
        pause_s = pause_after(len(failures))
        waited_s = now_s - failures[0].last_s if failures else 0.0
        if waited_s >= pause_s:
            decision.missing.append(share)
            return
        count = f"{len(failures)} fast failure{'s' if len(failures) > 1 else ''}"
        error = error_of(failures[0].run.run_id)
        rest_s = pause_s - waited_s
        decision.notes.append(f"{share}: waiting {rest_s:.0f} s after {count}: last error: {error}")


def find_silent(runs: Sequence[RunView], *, limit_s: float, now_s: float) -> list[Finding]:
    """Return the runs at work that gave no sign of life for longer than `limit_s`."""
    reasons = ((run, _silence(run, limit_s=limit_s, now_s=now_s)) for run in runs)
    return [Finding(run, reason) for run, reason in reasons if reason]


def _silence(run: RunView, *, limit_s: float, now_s: float) -> str:
    silent_s = now_s - run.sign_of_life_s
    if run.status in AT_WORK and silent_s > limit_s:
        return f"no sign of life for {silent_s:.0f} s: its process was killed or hangs"
    return ""


@dataclass(frozen=True)
class _FastFailure:
    run: RunView
    last_s: float


def pause_after(fast_failures: int) -> float:
    """Return how long to wait (s) before the next start: 5 s, doubled by every further fast failure."""
    if fast_failures == 0:
        return 0.0
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(fast_failures - 1, 16)))


def _fast_failures(past: Sequence[RunView]) -> list[_FastFailure]:
    """Return the latest unbroken row of runs that failed soon after their start, newest first."""
    row: list[_FastFailure] = []
    for run in sorted(past, key=lambda run: run.changed_s, reverse=True):
        given_up = run.status in ACTIVE
        if run.lifetime_s >= FAST_FAILURE_S or not (given_up or run.status is Status.FAILURE):
            break
        last_s = run.sign_of_life_s if given_up or run.ended_s is None else run.ended_s
        row.append(_FastFailure(run, last_s))
    return row


def _holder(runs: Sequence[RunView]) -> RunView:
    """Return the run that holds a share: the one that started first, else the one that waits longest."""
    return min(runs, key=lambda run: (run.started_s is None, run.started_s or run.changed_s))


def _describe(run: RunView, now_s: float) -> str:
    name = f"{run.share} (run {run.run_id[:8]})"
    if run.status in WAITING or run.started_s is None:
        return f"{name} is {run.status.value.lower()} since {_span(now_s - run.changed_s)}"
    beat = f"last beat {_span(now_s - run.beat_s)} ago" if run.beat_s else "no beat yet"
    ending = "ending" if run.status is Status.CANCELING else "running"
    said = f", {run.progress}" if run.progress else ""
    return f"{name} {ending} for {_span(now_s - run.started_s)}, {beat}{said}"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
