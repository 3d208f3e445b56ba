"""Mounts of a tree, made in a mount namespace of its own, so that none outlives the process."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
STREAMS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}


@dataclass(frozen=True)
class Bind:
    """A file or folder of the host that a tree shows; `target` is a path in the tree."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class Overlay:
    """Layers, topmost first, and where changes go: `upper` is the next layer."""

    lowers: list[str]
    upper: str
    work: str


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def mount_overlay(overlay: Overlay, where: Path) -> None:
    """Mount all layers, the changes going to `upper`."""
    for folder in (overlay.upper, overlay.work, where):
        Path(folder).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={':'.join(overlay.lowers)},upperdir={overlay.upper},workdir={overlay.work}"
    mount("-t", "overlay", "overlay", "-o", options, str(where))


def mount_layers(lowers: Sequence[str], where: Path) -> None:
    """Mount layers read-only; a single one cannot be an overlay."""
    where.mkdir(parents=True, exist_ok=True)
    if len(lowers) == 1:
        mount("--bind", "-o", "ro", lowers[0], str(where))
    else:
        mount("-t", "overlay", "overlay", "-o", f"ro,lowerdir={':'.join(lowers)}", str(where))


def mount_system(root: Path) -> None:
    """Mount what a container engine gives every container: /proc and a small /dev."""
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", str(root / "proc"))
    mount("-t", "tmpfs", "-o", "mode=755,nosuid,noexec", "tmpfs", str(root / "dev"))
    for name, numbers in DEVICES.items():
        node = root / "dev" / name
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        node.chmod(0o666)
    for name, target in (STREAMS | {"stderr": "/proc/self/fd/2"}).items():
        (root / "dev" / name).symlink_to(target)
    (root / "dev/shm").mkdir()
    mount("-t", "tmpfs", "-o", "size=64m,mode=1777,nosuid,nodev,noexec", "tmpfs", str(root / "dev/shm"))


def mount_bind(bind: Bind, root: Path) -> None:
    """Show a file or folder; what is bound to must exist."""
    where = str(inside(root, bind.target))
    mount("--bind", bind.source, where)
    if bind.read_only:
        mount("-o", "remount,bind,ro", where)


@contextmanager
def shown(binds: Sequence[Bind], root: Path) -> Iterator[None]:
    """Mount binds, /proc and /dev for a while; afterwards they and their mount points are gone."""
    made: list[Path] = []
    mounted = [root / "proc", root / "dev"]
    mount_system(root)
    for bind in binds:
        made += make_mount_point(bind, root)
        mount_bind(bind, root)
        mounted.append(inside(root, bind.target))
    yield
    for path in reversed(mounted):
        subprocess.run(["umount", "--recursive", str(path)], check=True)
    for path in reversed(made):
        _remove(path)


def make_mount_point(bind: Bind, root: Path) -> list[Path]:
    """Make what a bind needs and the tree lacks; return what was made, outermost first."""
    target = inside(root, bind.target)
    missing = [path for path in (target, *target.parents) if not path.exists() and path.is_relative_to(root)]
    for path in reversed(missing):
        if path == target and Path(bind.source).is_file():
            path.touch()
        else:
            path.mkdir()
    return missing[::-1]


def inside(root: Path, target: str) -> Path:
    """Return where a path of the tree lies; a link that leads out of the tree is refused."""
    found = root / target.lstrip("/")
    if not found.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{target} leads out of the tree")
    return found


def _remove(path: Path) -> None:
    if path.is_dir():
        if not any(path.iterdir()):
            path.rmdir()
    else:
        path.unlink(missing_ok=True)
