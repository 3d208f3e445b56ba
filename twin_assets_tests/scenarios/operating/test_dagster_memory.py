"""Dagster's memory in PostgreSQL, with the compose file's own instance."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twin_assets.operations.twin import open_twin
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.postgres import PostgresServer
from twin_assets_tests.programs import require_postgres
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.operating.dagster_services import dagster_services
from twin_assets_tests.scenarios.operating.flowing import catch_up
from twin_assets_tests.scenarios.own_servers import restart, served
from twin_assets_tests.scenarios.people import await_more, writing
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers

PATIENT = {"heartbeat_interval_s": 1.0, "heartbeat_limit_s": 240.0, "observation_interval_s": 5.0}
# Slow enough for a stream on a busy machine.
PACE_S = 1.0
SOME = 3
AWAY_S = 90.0


def test_it_is_migrated_as_the_docs_say_as_often_as_you_like(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, port=free_port(), programs=require_postgres())
    instance = (
        (ROOT / "deploy/compose/dagster.yaml").read_text().replace("port: 5432", f"port: {server.port}")
    )
    (tmp_path / "dagster.yaml").write_text(instance)
    environment = os.environ | {
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_POSTGRES_HOST": server.environment["PGHOST"],
        "DAGSTER_POSTGRES_DB": server.environment["PGDATABASE"],
        "DAGSTER_POSTGRES_USER": server.environment["PGUSER"],
        "DAGSTER_POSTGRES_PASSWORD": server.environment["PGPASSWORD"],
    }
    dagster = shutil.which("dagster", path=str(Path(sys.executable).parent))
    assert dagster
    try:
        with served(server):
            for _ in range(2):
                done = subprocess.run(
                    [dagster, "instance", "migrate"],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert done.returncode == 0, done.stdout + done.stderr
            asked = subprocess.run(
                [
                    server.programs / "psql",
                    "--no-psqlrc",
                    "--tuples-only",
                    "--command",
                    "SELECT 1 FROM runs LIMIT 1",
                ],
                env=environment | server.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert asked.returncode == 0, asked.stderr
    finally:
        server.remove()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("empty_qdrant")
def test_long_runs_go_on_while_it_is_away(lived_in, settings, tmp_path: Path) -> None:
    postgres = lived_in.postgres
    patient = settings.model_copy(update=PATIENT)
    with dagster_services(tmp_path, patient, postgres) as services, open_twin(settings) as twin:
        documents = twin.source.client[settings.mongodb_database]
        with writing(documents, pace_s=PACE_S) as written:
            runs = services.await_long_runs()
            catch_up(twin)
            postgres.stop()
            for run in runs:
                wait_until(
                    lambda run=run: "no heartbeat for" in services.said_by(run),  # type: ignore[misc]
                    what="the run misses it",
                    limit_s=AWAY_S,
                )
            await_more(written, SOME)
            catch_up(twin)
            restart(postgres)
            back_s = time.time()
            for run in runs:
                wait_until(
                    lambda run=run: services.has_beaten(run, since=back_s),  # type: ignore[misc]
                    what="the run beats again",
                    limit_s=AWAY_S,
                )
        catch_up(twin)
        assert_clean(twin)
        assert services.long_runs() == runs
