"""Repair as a run: it mends just what differs, and fails where that did not help."""

from typing import TYPE_CHECKING

from dagster import Config, Failure, OpExecutionContext, in_process_executor, job, op
from pydantic import Field

from twin_assets.defs.beating import beating
from twin_assets.defs.findings import metadata_of_repair
from twin_assets.defs.resources import TwinResource
from twin_assets.models.kinds import DataType

if TYPE_CHECKING:
    from twin_assets.operations.repair import RepairReport

REPAIR_OP = "repair"


class RepairConfig(Config):
    """What is repaired, and how much of it."""

    types: list[str] = Field(
        default_factory=list, description="posts, articles, repositories; empty means all of them."
    )
    is_dry_run: bool = Field(default=False, description="Say what would be done, and do nothing.")
    limit: int = Field(
        default=0, ge=0, description="Do nothing where more documents differ than this; 0 is no limit."
    )
    wait_s: float = Field(default=120.0, ge=0, description="How long to wait for the stream to do its part.")


@op(name=REPAIR_OP, description="Has just those documents processed anew that differ from MongoDB.")
def repair_op(context: OpExecutionContext, config: RepairConfig, twin: TwinResource) -> None:
    from twin_assets.operations.repair import audit_live, await_mended, repair

    settings = twin.settings()
    types = [DataType(name) for name in config.types] or None
    with beating(context.instance, context.run_id, settings), twin.open(settings) as opened:
        reports = audit_live(opened, types)
        planned = repair(opened, *reports, is_dry_run=True)
        if config.limit and planned.documents > config.limit:
            raise Failure(
                f"{planned.documents} documents differ, more than the limit of {config.limit}: nothing was "
                "done; see why, then run `twin repair`",
                metadata=metadata_of_repair(planned),
            )
        result = planned
        if not config.is_dry_run:
            result = repair(opened, *reports)
            await_mended(opened, result, wait_s=config.wait_s)
    report_repair(context, result)


def report_repair(context: OpExecutionContext, result: "RepairReport") -> None:
    """Put the report into the run. Raises Failure where something differs still."""
    metadata = metadata_of_repair(result)
    context.add_output_metadata(metadata)
    context.log.info(f"{result.documents} documents processed anew, {result.foreign} foreign points removed")
    if result.unconfirmed:
        behind = ", ".join(result.unconfirmed)
        raise Failure(f"{behind}: left alone, since capture or stream is behind", metadata=metadata)
    if not result.is_mended:
        left = ", ".join(f"{alias}: {len(found)}" for alias, found in (result.remaining or {}).items())
        raise Failure(f"differs still after the repair: {left}", metadata=metadata)


@job(
    executor_def=in_process_executor,
    description="Audits every collection and has just what differs processed anew; the rest is left alone.",
)
def repair_features() -> None:
    repair_op()
