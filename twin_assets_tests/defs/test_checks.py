from collections.abc import Callable

from dagster import DagsterInstance, ExecuteInProcessResult, OpExecutionContext, job, op

from twin_assets.defs.checks import CHECKS, all_check_keys, build_checks
from twin_assets.defs.verification import verify
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations import checks as operations
from twin_assets.operations.checks import CheckResult


def results(passes: Callable[[str], bool] = lambda name: True) -> list[CheckResult]:
    return [
        CheckResult(
            asset=key.asset_key.to_user_string(),
            check=key.name,
            passed=passes(f"{key.asset_key.to_user_string()} {key.name}"),
            metadata={"documents": 3, "missing_ids": ["str:p1"]},
        )
        for key in all_check_keys
    ]


def verified(instance: DagsterInstance, found: list[CheckResult]) -> ExecuteInProcessResult:
    @op(name="verify")
    def verify_op(context: OpExecutionContext) -> None:
        verify(context, found)

    @job(name="verify_found")
    def verify_found() -> None:
        verify_op()

    return verify_found.execute_in_process(instance=instance, raise_on_error=False)


def failure_of(result: ExecuteInProcessResult) -> str:
    return str(result.failure_data_for_node("verify").user_failure_data.description)


def test_the_checks_here_are_those_that_are_evaluated():
    assert tuple(CHECKS) == operations.CHECKS
    assert len(all_check_keys) == 36


def test_all_checks_passed_is_a_success_and_shows_in_the_ui(instance):
    assert verified(instance, results()).success
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(all_check_keys)
    assert {record.status.value for record in latest.values()} == {"SUCCEEDED"}
    assert len(latest) == 36


def test_a_failed_check_fails_the_run_and_is_named(instance):
    result = verified(instance, results(lambda name: name != "qdrant/vector_posts is_complete"))
    assert not result.success
    assert failure_of(result) == "1 of 36 checks failed: qdrant/vector_posts is_complete"
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(all_check_keys)
    failed = [key for key, record in latest.items() if record.status.value == "FAILED"]
    assert [key.name for key in failed] == ["is_complete"]


def test_a_check_that_nobody_evaluated_is_no_success(instance):
    left_out, *rest = results()
    expected = f"not evaluated: {left_out.asset} {left_out.check}"
    assert failure_of(verified(instance, rest)) == expected


def test_the_checks_of_a_collection_can_be_run_one_by_one():
    checks = build_checks(Snapshot.VECTOR, DataType.POSTS)
    assert checks.can_subset
    assert {key.asset_key.to_user_string() for key in checks.check_keys} == {"qdrant/vector_posts"}
