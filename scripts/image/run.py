"""A container without an engine: a process in the image's tree, set up as Docker and compose would.

The tree is read-only, /tmp is its own, volumes are folders of the host, the user is the image's, and it has
no capability. What Docker has beside that: limits of memory and processes, seccomp, a network per container.
"""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from scripts.image.inside import ROOT, BecomePlan, arguments
from scripts.image.mounts import Bind, Overlay
from scripts.image.record import Image

FEW_RIGHTS = ["--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
STOP_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Service:
    """What compose adds to an image; `volumes` are writable, `files` are not."""

    name: str
    command: list[str] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    files: list[Bind] = field(default_factory=list)
    volumes: list[Bind] = field(default_factory=list)
    tmpfs: list[str] = field(default_factory=lambda: ["/tmp"])  # noqa: S108 - a path in the tree


class Container:
    """One process of an image; `folder` takes its mount points and its log."""

    def __init__(self, image: Image, service: Service, folder: Path) -> None:
        self.image = image
        self.service = service
        self.log = folder / f"{service.name}.log"
        self._folder = folder / service.name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The program's own: every step on the way to it keeps the pid."""
        if self._process is None:
            raise RuntimeError(f"{self.service.name} was not started")
        return self._process.pid

    def start(self) -> None:
        for bind in self.service.volumes:
            Path(bind.source).mkdir(parents=True, exist_ok=True)
        overlay = Overlay(self.image.layer_paths, str(self._folder / "diff"), str(self._folder / "work"))
        plan = BecomePlan(
            overlay,
            files=self.service.files,
            volumes=self.service.volumes,
            tmpfs=self.service.tmpfs,
            command=self._with_few_rights(self.service.command or self.image.command),
            environment=self.environment,
            workdir=self.image.workdir,
        )
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments(plan, own_pids=False),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def execute(
        self, *command: str, timeout_s: float = 60, as_root: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the running container, as `docker exec` does; code and output are returned."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--root", "--wd"]
        inner = list(command) if as_root else self._with_few_rights(list(command))
        return subprocess.run(
            [*enter, *inner],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def exit_code(self) -> int | None:
        """Return None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Send the image's STOPSIGNAL and return the exit code; kill what does not end in time."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.Signals[self.image.stop_signal])
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End it at once, where it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def written(self) -> list[str]:
        """List what was written into the tree itself: nothing but mount points should be there."""
        targets = {"/proc", "/dev", *self.service.tmpfs}
        targets |= {bind.target for bind in (*self.service.files, *self.service.volumes)}
        known = {path for target in targets for path in (Path(target), *Path(target).parents)}
        upper = self._folder / "diff"
        found = (Path("/") / path.relative_to(upper) for path in upper.rglob("*"))
        return sorted(str(path) for path in found if path not in known)

    @property
    def environment(self) -> dict[str, str]:
        home = {"HOME": _home_of(self.image), "HOSTNAME": self.service.name}
        return home | self.image.environment | self.service.environment

    def _with_few_rights(self, command: list[str]) -> list[str]:
        user, _, group = self.image.user.partition(":")
        return ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *FEW_RIGHTS, *command]


def _home_of(image: Image) -> str:
    """Return what the image's /etc/passwd says; Docker puts that into HOME."""
    tables = (Path(layer) / "etc/passwd" for layer in image.layer_paths)
    lines = next(table for table in tables if table.exists()).read_text().splitlines()
    homes = {fields[2]: fields[5] for fields in (line.split(":") for line in lines)}
    return homes.get(image.user.partition(":")[0], "/")
