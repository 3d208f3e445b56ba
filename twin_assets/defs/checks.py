"""The asset checks: the same six predicates on every collection, none of them blocking.

A blocking check would keep a rebuild, the cure, from running.
"""

from collections.abc import Iterator

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSpec,
    multi_asset_check,
)

from twin_assets.defs.beating import beating
from twin_assets.defs.findings import metadata_of_check
from twin_assets.defs.names import collection_key
from twin_assets.defs.resources import TwinResource
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot

CHECKS = {
    "matches_source": "Every MongoDB document is here as it is now, unaltered, and nothing else is.",
    "is_complete": "Every document has all its chunks, and every chunk its document.",
    "has_current_recipe": "Every point was made by the recipe that is set now; if not, rebuild.",
    "is_caught_up": "The latest changes have arrived; if not, capture or stream is behind or down.",
    "vectors_are_sound": "Every vector is a unit vector, and the one that was stored.",
    "has_no_dead_letters": "No document was left behind; `twin dead-letters list` says which ones, and why.",
}


def build_checks(snapshot: Snapshot, data_type: DataType) -> AssetChecksDefinition:
    """Return the checks of one collection; those asked for in one run share one audit."""
    key = collection_key(snapshot, data_type)
    specs = [AssetCheckSpec(name, asset=key, description=text) for name, text in CHECKS.items()]

    @multi_asset_check(name=f"check_{alias_of(snapshot, data_type)}", specs=specs, can_subset=True)
    def evaluate(context: AssetCheckExecutionContext, twin: TwinResource) -> Iterator[AssetCheckResult]:
        from twin_assets.operations.checks import evaluate_checks

        settings = twin.settings()
        names = {check.name for check in context.selected_asset_check_keys}
        with beating(context.instance, context.run.run_id, settings), twin.open(settings) as opened:
            results = evaluate_checks(opened, [(snapshot, data_type)], names)
        for result in results:
            yield AssetCheckResult(
                passed=result.passed,
                asset_key=key,
                check_name=result.check,
                metadata=metadata_of_check(result),
            )

    return evaluate


all_checks = [build_checks(snapshot, data_type) for data_type in DataType for snapshot in Snapshot]
all_check_keys = [key for checks in all_checks for key in checks.check_keys]
