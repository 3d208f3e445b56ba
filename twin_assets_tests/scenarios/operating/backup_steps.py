"""The profile `backup` of docker-compose.yaml, each service a plain process on local servers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twin_assets_tests.deploy.files import ROOT, interpolate, read_dotenv_example, read_yaml

SERVICES: dict[str, Any] = read_yaml("docker-compose.yaml")["services"]
FILLED_IN = {name: value or "5ecret" for name, value in read_dotenv_example().items()}
IN_CONTAINER = "/backups"
LIMIT_S = 120


class Steps:
    """Runs services of docker-compose.yaml; `where` holds what is elsewhere here than in containers."""

    def __init__(self, backups: Path, *, where: dict[str, str], programs: list[Path]) -> None:
        self.backups = backups
        self.where = where
        self._programs = os.pathsep.join(map(str, [*programs, Path(sys.executable).parent, "/usr/bin:/bin"]))

    def back_up(self) -> str:
        """Run `backup` after all that it depends on, each once, and return the backup's name."""
        done: list[str] = []

        def run(name: str) -> str:
            for needed in SERVICES[name]["depends_on"]:
                if needed.startswith("backup-") and needed not in done:
                    run(needed)
            done.append(name)
            return self.run(name)

        said = run("backup").splitlines()[-1]
        assert done[0] == "backup-qdrant"
        return said.partition(" is complete")[0]

    def run(self, name: str, *command: str, fails: bool = False) -> str:
        """Run a service's command, or another in its place, as `docker compose run --no-deps` does."""
        service = interpolate(SERVICES[name], FILLED_IN)
        argv = [*service.get("entrypoint", []), *(command or service["command"])]
        given = {key: str(value) for key, value in service["environment"].items() if value != ""}
        environment = {**given, **{key: self.where[key] for key in given if key in self.where}}
        for key in ("PGPORT", "ERL_EPMD_PORT"):
            environment[key] = self.where[key]
        if "BACKUP_FOLDER" in environment:
            environment["BACKUP_FOLDER"] = str(self.backups)
        done = subprocess.run(
            [self._here(each, service) for each in argv],
            env={**environment, "PATH": self._programs, "LANG": "C.UTF-8"},
            cwd=self.backups,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert (done.returncode != 0) is fails, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _here(self, argument: str, service: dict[str, Any]) -> str:
        if argument == IN_CONTAINER:
            return str(self.backups)
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            if argument == target and source.startswith("./deploy/"):
                return str(ROOT / source)
        return argument
