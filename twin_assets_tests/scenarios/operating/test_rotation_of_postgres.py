"""PostgreSQL's password is changed under Dagster and its long runs, as the docs say, while people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_assets.operations.twin import open_twin
from twin_assets_tests.postgres import PASSWORD
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.operating.dagster_services import dagster_services
from twin_assets_tests.scenarios.operating.flowing import catch_up
from twin_assets_tests.scenarios.own_servers import restart
from twin_assets_tests.scenarios.people import await_more, writing
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

NEW = "an0ther-of-p0stgres"
# Slow enough for a stream on a busy machine.
PACE_S = 1.0
SOME = 3
# Each of their last words is tried for ten seconds and more.
RUNS_END_S = 200.0


@pytest.fixture
def services(lived_in, settings, tmp_path):
    quick = settings.model_copy(update={"heartbeat_interval_s": 1.0})
    with dagster_services(tmp_path, quick, lived_in.postgres) as running:
        yield running


@pytest.mark.usefixtures("empty_qdrant")
def test_the_password_is_changed_and_nothing_is_lost(lived_in, services, settings, tmp_path):
    postgres = lived_in.postgres
    with open_twin(settings) as twin:
        documents = twin.source.client[settings.mongodb_database]
        with writing(documents, pace_s=PACE_S) as written:
            first = services.await_long_runs()
            catch_up(twin)
            changed = postgres.log_in("--command", r"\password", told=f"{NEW}\n{NEW}\n")
            assert changed.returncode == 0, changed.stderr
            assert 'password authentication failed for user "dagster"' in postgres.log_in().stderr
            await_more(written, SOME)
            catch_up(twin)
            postgres.password = NEW
            postgres.stop()  # compose makes its container anew, since its environment has changed
            restart(postgres)
            services.up()
            second = services.await_long_runs(besides=first)
            for run in first:
                wait_until(lambda run=run: not services.worker_of(run), what="it ends", limit_s=RUNS_END_S)
            await_more(written, SOME)
            catch_up(twin)
        catch_up(twin)
        assert_clean(twin)
    assert services.long_runs() == second
    assert [services.api.run_status(run) for run in first] == ["FAILURE", "FAILURE"]
    assert files_with(tmp_path, PASSWORD) == files_with(tmp_path, NEW) == []


def files_with(folder: Path, secret: str) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if secret.encode() in path.read_bytes()]
