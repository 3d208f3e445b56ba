"""What runs in the namespaces that `unshare` made: it mounts a tree, and works or turns into a program there.

Started as `python -m scripts.image.inside PLAN`; PLAN is JSON of one of the plans below, named by `kind`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.image import mounts
from scripts.image.mounts import Bind, Overlay

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class RunPlan:
    """One RUN: a command in the tree, whose changes are the next layer."""

    overlay: Overlay
    binds: list[Bind]
    command: list[str]
    environment: dict[str, str]
    workdir: str
    user: str = "0:0"
    kind: str = "run"


@dataclass(frozen=True)
class CopyPlan:
    """One COPY or WORKDIR: `sources` lie on the host, or in the tree whose layers are `source_layers`."""

    overlay: Overlay
    sources: list[str]
    target: str
    is_folder: bool
    source_layers: list[str] = field(default_factory=list)
    kind: str = "copy"


@dataclass(frozen=True)
class BecomePlan:
    """A container's process: the tree read-only but for volumes and tmpfs, and then the program."""

    overlay: Overlay
    files: list[Bind]
    volumes: list[Bind]
    tmpfs: list[str]
    command: list[str]
    environment: dict[str, str]
    workdir: str
    kind: str = "become"


Plan = RunPlan | CopyPlan | BecomePlan


def arguments(plan: Plan, *, own_pids: bool) -> list[str]:
    """Return the command that carries out a plan; it must be started in the repository's root."""
    pids = ["--pid", "--fork", "--kill-child"] if own_pids else []
    inner = [sys.executable, "-m", "scripts.image.inside", json.dumps(asdict(plan))]
    return ["unshare", "--mount", "--propagation", "private", *pids, *inner]


def carry_out(plan: Plan, log: Path) -> int:
    """Carry out a step of a build, its output added to a log; return its exit code."""
    with log.open("ab") as output:
        command = arguments(plan, own_pids=True)
        return subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False).returncode


def run(plan: Mapping[str, Any], root: Path) -> int:
    mounts.mount_overlay(Overlay(**plan["overlay"]), root)
    enter = ["chroot", f"--userspec={plan['user']}", str(root), "/bin/sh", "-c", 'cd "$0" && exec "$@"']
    with mounts.shown([Bind(**each) for each in plan["binds"]], root):
        command = [*enter, plan["workdir"], *plan["command"]]
        return subprocess.run(command, env=plan["environment"], check=False).returncode


def copy(plan: Mapping[str, Any], root: Path) -> int:
    mounts.mount_overlay(Overlay(**plan["overlay"]), root)
    target = mounts.inside(root, plan["target"])
    (target if plan["is_folder"] else target.parent).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source_root = Path(folder)
        if plan["source_layers"]:
            mounts.mount_layers(plan["source_layers"], source_root)
        for name in plan["sources"]:
            _copy(source_root / name.lstrip("/") if plan["source_layers"] else Path(name), target)
        if plan["source_layers"]:
            subprocess.run(["umount", folder], check=True)
    return 0


def _copy(source: Path, target: Path) -> None:
    """A folder's content goes into the target; all that is copied belongs to root."""
    what = str(source)
    if source.is_dir():
        target.mkdir(exist_ok=True)
        what += "/."
    subprocess.run(["cp", "--archive", "--no-preserve=ownership", what, str(target)], check=True)


def become(plan: Mapping[str, Any], root: Path) -> int:
    """Mount as a container engine does and run the program under this process's own pid."""
    mounts.mount_overlay(Overlay(**plan["overlay"]), root)
    binds = [Bind(**each) for each in (*plan["files"], *plan["volumes"])]
    for bind in (*binds, *(Bind("/", path) for path in plan["tmpfs"])):
        mounts.make_mount_point(bind, root)
    mounts.mount_system(root)
    for path in plan["tmpfs"]:
        mounts.mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev,noexec", "tmpfs", f"{root}{path}")
    for volume in plan["volumes"]:
        _hand_over(volume["source"], mounts.inside(root, volume["target"]))
    for bind in binds:
        mounts.mount_bind(bind, root)
    mounts.mount("-o", "remount,bind,ro", str(root))
    os.chroot(root)
    os.chdir(plan["workdir"])
    command: list[str] = plan["command"]
    os.execve(command[0], command, plan["environment"])  # noqa: S606 - to become it is the purpose


def _hand_over(volume: str, place: Path) -> None:
    """A new volume takes owner and mode of the folder that it covers."""
    if not any(Path(volume).iterdir()):
        found = place.stat()
        os.chown(volume, found.st_uid, found.st_gid)
        Path(volume).chmod(found.st_mode & 0o7777)


def main() -> int:
    plan = json.loads(sys.argv[1])
    root = Path(plan["overlay"]["work"]).parent / "root"
    root.mkdir(parents=True, exist_ok=True)
    return {"run": run, "copy": copy, "become": become}[plan["kind"]](plan, root)


if __name__ == "__main__":
    sys.exit(main())
