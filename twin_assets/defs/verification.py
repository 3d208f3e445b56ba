"""The verdict that CI asks for: all checks evaluated, logged for the UI, and one failure that names them."""

from typing import TYPE_CHECKING

from dagster import AssetCheckEvaluation, AssetKey, Failure, OpExecutionContext

from twin_assets.defs.checks import all_check_keys
from twin_assets.defs.findings import metadata_of_check

if TYPE_CHECKING:
    from twin_assets.operations.checks import CheckResult


def verify(context: OpExecutionContext, results: "list[CheckResult]") -> None:
    """Log every evaluation. Raises Failure naming each check that failed, or that nobody evaluated."""
    for result in results:
        # The annotation of log_event leaves out what its body accepts.
        context.log_event(_evaluation(result))  # type: ignore[arg-type]
    failed = sorted(f"{result.asset} {result.check}" for result in results if not result.passed)
    missing = _missing(results)
    if missing:
        raise Failure(f"not evaluated: {', '.join(missing)}", metadata={"failed": failed, "missing": missing})
    if failed:
        raise Failure(
            f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}", metadata={"failed": failed}
        )


def _missing(results: "list[CheckResult]") -> list[str]:
    evaluated = {f"{result.asset} {result.check}" for result in results}
    expected = {f"{key.asset_key.to_user_string()} {key.name}" for key in all_check_keys}
    return sorted(expected - evaluated)


def _evaluation(result: "CheckResult") -> AssetCheckEvaluation:
    return AssetCheckEvaluation(
        asset_key=AssetKey.from_user_string(result.asset),
        check_name=result.check,
        passed=result.passed,
        metadata=metadata_of_check(result),
    )
