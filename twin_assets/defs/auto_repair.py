"""The sensor that repairs by itself what the checks found, where TWIN_AUTO_REPAIR allows that.

It acts on each evaluation once, and never twice on the same difference: what a repair did not mend is for a
person. Above TWIN_AUTO_REPAIR_LIMIT it asks a person at once.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from twin_assets.defs.checks import all_check_keys
from twin_assets.defs.repairing import REPAIR_OP, repair_features
from twin_assets.defs.resources import TwinResource
from twin_assets.errors import ConfigurationError
from twin_assets.operations.differences import ALLOWED, ON_THEIR_WAY, Difference

TICK_S = 60
MENDABLE = ("matches_source", "is_complete", "vectors_are_sound")
ACTIVE = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)


@dataclass(frozen=True)
class Finding:
    """What one check counted: documents, and the first of them, each named behind `collection check`."""

    check: str
    documents: int
    names: frozenset[str]
    is_confirmed: bool


@dataclass
class Memory:
    """What the sensor keeps between ticks: the newest evaluation it has seen, and what it had mended."""

    seen: int = 0
    tried: list[str] = field(default_factory=list)

    def leave(self, checks: Collection[str]) -> None:
        """Forget what was tried for checks that have been evaluated since."""
        self.tried = [
            name for name in self.tried if not name.startswith(tuple(f"{each} " for each in checks))
        ]


@sensor(
    name="repair_differences",
    job=repair_features,
    minimum_interval_seconds=TICK_S,
    default_status=DefaultSensorStatus.RUNNING,
    description="With TWIN_AUTO_REPAIR=true: has repaired what the checks found, up to a limit.",
)
def repair_differences(context: SensorEvaluationContext, twin: TwinResource) -> SensorResult:
    try:
        settings = twin.settings()
    except ConfigurationError as error:
        return _skip(str(error), context.cursor)
    if not settings.auto_repair:
        return _skip("TWIN_AUTO_REPAIR is false: `twin repair` does it by hand", context.cursor)
    if is_repairing(context.instance):
        return _skip("a repair is at work", context.cursor)
    return decide(context.instance, context.cursor, limit=settings.auto_repair_limit)


def decide(instance: DagsterInstance, cursor: str | None, *, limit: int) -> SensorResult:
    """Ask for a repair of what was found since the last tick, or say why there is none."""
    memory = Memory(**json.loads(cursor)) if cursor else Memory()
    newest, evaluations = read_evaluations(instance, since=memory.seen)
    if not evaluations:
        return _skip("no check was evaluated since the last tick", cursor)
    memory.seen = newest
    tried = set(memory.tried)
    found = [read_finding(each) for each in evaluations]
    memory.leave([each.check for each in found])
    found = [each for each in found if each.documents]
    if not found:
        return _skip("nothing differs", _kept(memory))
    names = {name for each in found for name in each.names}
    if names & tried:
        memory.tried = sorted({*memory.tried, *names & tried})
    if reason := _why_not(found, names & tried, limit=limit):
        return _skip(reason, _kept(memory))
    memory.tried = sorted({*memory.tried, *names})
    config = {"ops": {REPAIR_OP: {"config": {"limit": limit}}}}
    request = RunRequest(run_config=config, tags={"twin/repair": "auto"})
    return SensorResult(run_requests=[request], cursor=_kept(memory))


def read_evaluations(instance: DagsterInstance, *, since: int) -> tuple[int, list[AssetCheckEvaluation]]:
    """Return the latest evaluations of what a repair may mend, those behind `since`, and the last number."""
    keys = [key for key in all_check_keys if key.name in MENDABLE]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys).values()
    evaluated = {
        record.id: event.event_specific_data
        for record in records
        if record.id > since
        and record.event is not None
        and (event := record.event.dagster_event) is not None
    }
    evaluations = [data for data in evaluated.values() if isinstance(data, AssetCheckEvaluation)]
    return max(evaluated, default=since), evaluations


def is_repairing(instance: DagsterInstance) -> bool:
    """Tell whether a repair runs or waits to run."""
    wanted = RunsFilter(job_name=repair_features.name, statuses=list(ACTIVE))
    return instance.get_runs_count(wanted) > 0


def read_finding(evaluation: AssetCheckEvaluation) -> Finding:
    """Read back what a check counted; nothing where a repair would not help, as without a collection."""
    values: Mapping[str, Any] = {name: entry.value for name, entry in evaluation.metadata.items()}
    check = f"{evaluation.asset_key.to_user_string()} {evaluation.check_name}"
    kinds = [kind for kind in Difference if kind not in ALLOWED and values.get(kind.value)]
    ids = {kind: values.get(f"{kind.value}_ids", []) for kind in kinds}
    return Finding(
        check=check,
        documents=0 if evaluation.passed else sum(int(values[kind.value]) for kind in kinds),
        names=frozenset(f"{check} {kind.value} {name}" for kind in kinds for name in ids[kind]),
        is_confirmed=values.get("note") != ON_THEIR_WAY,
    )


def _why_not(found: Sequence[Finding], again: Collection[str], *, limit: int) -> str:
    documents = sum(each.documents for each in found)
    if not all(each.is_confirmed for each in found):
        return "capture or stream is behind: what differs may be on its way"
    if again:
        few = ", ".join(sorted(again)[:3])
        return f"a repair did not mend {few}: please see why; `twin repair` tries again"
    if documents > limit:
        most = f"{documents} differences, more than TWIN_AUTO_REPAIR_LIMIT={limit}"
        return f"{most}: please see why, then run `twin repair`"
    return ""


def _kept(memory: Memory) -> str:
    return json.dumps(asdict(memory))


def _skip(reason: str, cursor: str | None) -> SensorResult:
    return SensorResult(skip_reason=SkipReason(reason), cursor=cursor)
