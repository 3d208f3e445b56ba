"""Dagster's memory in PostgreSQL, with the compose file's own instance."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.free_ports import free_port
from twin_assets_tests.postgres import PostgresServer
from twin_assets_tests.programs import require_postgres
from twin_assets_tests.scenarios.own_servers import served

pytestmark = pytest.mark.servers


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
