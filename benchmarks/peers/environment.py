"""The peers' own virtual environment: their packages first, behind them this project's, torch included."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ENVIRONMENT = Path(sys.prefix) / "peers"
PACKAGES = (
    "llama-index-core==0.14.25",
    "llama-index-vector-stores-qdrant==0.10.4",
    "langchain-qdrant==1.1.0",
    "langchain-classic==1.0.8",
)
DONE = ".".join(package.replace("==", "-") for package in PACKAGES)
LIMIT_S = 900


def peers_python() -> str:
    """Return the environment's Python; make the environment first where there is none of these versions."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / DONE).exists():
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)])
        ours = sysconfig.get_paths()["purelib"]
        theirs = next((ENVIRONMENT / "lib").glob("python*")) / "site-packages"
        (theirs / "behind.pth").write_text(f"{ours}\n")
        # Constraints keep it to packages that go with ours, so that nothing large is installed twice.
        constraints = Path(__file__).parents[2] / "constraints.txt"
        _run([str(python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *PACKAGES])
        (ENVIRONMENT / DONE).touch()
    return str(python)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=LIMIT_S)
