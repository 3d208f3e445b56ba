"""PostgreSQL as compose runs it: a database and a user for Dagster, with a password."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.process import Launch
from twin_assets.stack.server import Server, plain_environment

# It refuses to run as root.
NOBODY = 65534
PASSWORD = "p0stgres"


class PostgresServer(Server):
    """One cluster on loopback, made when it first starts."""

    name = "postgres"

    def __init__(self, state: Path, *, port: int, programs: Path) -> None:
        super().__init__(state, {"PORT": port})
        self.programs = programs
        self.password = PASSWORD
        # Not below `state`, whose folders nobody but their owner may enter.
        self._data = Path(tempfile.mkdtemp(prefix="twin-assets-postgres-"))

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://dagster:{self.password}@{LOOPBACK}:{self.port}/dagster"

    @property
    def environment(self) -> dict[str, str]:
        """What PostgreSQL's own programs need to log in."""
        login = {
            "PGHOST": LOOPBACK,
            "PGPORT": str(self.port),
            "PGUSER": "dagster",
            "PGPASSWORD": self.password,
        }
        return login | {"PGDATABASE": "dagster"}

    def is_ready(self) -> bool:
        made = "SELECT FROM pg_database WHERE datname = 'dagster'"
        found = self.log_in("--dbname=postgres", "--command", made)
        if found.returncode:
            return False
        if "(0 rows)" in found.stdout:
            create = [self.programs / "createdb", "--maintenance-db=postgres", "dagster"]
            environment = plain_environment() | self.environment
            subprocess.run(create, env=environment, check=True, capture_output=True)
        return True

    def launch(self) -> Launch:
        if not (self._data / "PG_VERSION").exists():
            self._make()
        options = ["-D", str(self._data), "-p", str(self.port), "-k", "", "-h", LOOPBACK]
        return Launch([*self._as_nobody(), str(self.programs / "postgres"), *options], plain_environment())

    def stop(self) -> None:
        """SIGINT, as its image has it, ends it although clients are connected."""
        self.process.stop(first=signal.SIGINT, timeout_s=self.stop_timeout_s)

    def log_in(self, *options: str, told: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run psql; `told` is what it is answered, since it finds no terminal to ask at."""
        return subprocess.run(
            [self.programs / "psql", "--no-psqlrc", *options],
            env=plain_environment() | self.environment,
            input=told,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )

    def remove(self) -> None:
        """Delete its data."""
        shutil.rmtree(self._data)

    def _make(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".password") as password:
            password.write(self.password)
            password.flush()
            if os.getuid() == 0:
                os.chown(self._data, NOBODY, NOBODY)
                os.chown(password.name, NOBODY, NOBODY)
            options = ["--username=dagster", f"--pwfile={password.name}", "--auth=scram-sha-256"]
            command = [*self._as_nobody(), self.programs / "initdb", *options, "--no-sync", self._data]
            subprocess.run(command, env=plain_environment(), cwd="/", check=True, capture_output=True)

    def _as_nobody(self) -> list[str]:
        if os.getuid():
            return []
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
