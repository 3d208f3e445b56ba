"""The base image's stand-in: Debian bookworm by debootstrap, a copy of the Python that runs this, and pip.

What differs from python:3.11-slim-bookworm: Python is the build that runs this program, so its patch release
and its compiler's options may be others; documentation and translations are not cut away, so it is larger.
The same are Debian's C library and packages, Python's place in /usr/local, pip's version and PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.image.errors import ImageError
from scripts.image.inside import RunPlan, carry_out
from scripts.image.interpreter import VERSION, copy_interpreter
from scripts.image.mounts import Bind, Overlay

STANDS_FOR = "python:3.11-slim-bookworm"
PIP = "pip==24.0"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
# The libraries are those that Python's own modules need.
PACKAGES = [
    *("ca-certificates", "netbase", "tzdata"),
    *(
        "libbz2-1.0",
        "libexpat1",
        "libffi8",
        "libgdbm6",
        "liblzma5",
        "libncursesw6",
        "libnsl2",
        "libreadline8",
    ),
    *("libsqlite3-0", "libssl3", "libtirpc3", "libuuid1", "zlib1g"),
]
MADE_OF = f"FROM {STANDS_FOR} (debootstrap bookworm, Python {VERSION}, {PIP})"
INSTALL_PIP = """
set -eu
ldconfig
python -c 'import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib'
wheel=$(ls /wheel/pip-*.whl)
python "$wheel/pip" install --quiet --no-index --no-cache-dir --root-user-action ignore "$wheel"
"""
LEFT_BY_THE_HOST = ["etc/hostname", "etc/resolv.conf", "etc/hosts", "etc/apt/sources.list"]
SUPERFLUOUS = ["var/cache/apt", "var/lib/apt/lists", "var/log", "debootstrap"]


def make_base(overlay: Overlay, cache: Path, log: Path) -> None:
    """Fill the first layer. Raises ImageError where a program is missing or a download fails."""
    require_debootstrap()
    tree = Path(overlay.upper)
    packages = cache / "debs"
    packages.mkdir(parents=True, exist_ok=True)
    command = [
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        f"--cache-dir={packages}",
    ]
    own = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private"]
    _run([*own, *command, "bookworm", str(tree), *_mirror()], log)
    copy_interpreter(tree)
    _install_pip(tree, log)
    _tidy(tree)


def require_debootstrap() -> None:
    """Install debootstrap where it is missing and we may."""
    if shutil.which("debootstrap"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--quiet", "--no-install-recommends", "debootstrap"]
    if shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "--quiet", "--quiet"], env=environment, check=False)
        subprocess.run(install, env=environment, check=False)
    if not shutil.which("debootstrap"):
        raise ImageError("debootstrap is missing: install it with your package manager")


def _mirror() -> list[str]:
    """Return the mirror that apt uses here, if it serves bookworm; else debootstrap knows one."""
    wanted = [
        "apt-get",
        "indextargets",
        "--format",
        "$(CODENAME) $(COMPONENT) $(SITE)",
        "Created-By: Packages",
    ]
    if not shutil.which("apt-get"):
        return []
    lines = subprocess.run(wanted, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line.split()[2] for line in lines if line.startswith("bookworm main ")][:1]


def _install_pip(tree: Path, log: Path) -> None:
    """Bring pip as a wheel, and try whether Python finds the libraries that it was built with."""
    with tempfile.TemporaryDirectory() as wheels, tempfile.TemporaryDirectory() as layer:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, PIP]
        _run(download, log)
        folder = Path(layer)
        overlay = Overlay([str(tree)], str(folder / "diff"), str(folder / "work"))
        script = ["/bin/sh", "-c", INSTALL_PIP]
        if carry_out(RunPlan(overlay, [Bind(wheels, "/wheel")], script, ENVIRONMENT, "/"), log):
            raise ImageError(f"the base tree's Python does not run, or takes no pip (log: {log})")
        subprocess.run(["cp", "--archive", f"{folder}/diff/.", str(tree)], check=True)


def _run(command: list[str], log: Path) -> None:
    with log.open("ab") as output:
        if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
            raise ImageError(f"the base tree cannot be made (log: {log}): {' '.join(command)}")


def _tidy(tree: Path) -> None:
    """Empty what debootstrap took from this machine, and what no image keeps."""
    for name in LEFT_BY_THE_HOST:
        (tree / name).write_text("")
    for name in SUPERFLUOUS:
        for path in (tree / name).glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
