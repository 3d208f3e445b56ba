"""Files that a task's containers trust servers by, written by a container that ends before they start.

An authority's certificate is no secret, so the texts stand in the task definition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "/certificates"
VOLUME = CONTAINER = "certificates"
PROGRAM = (Path(__file__).parent / "write_files.py").read_text(encoding="utf-8")


def path_of(name: str) -> str:
    """Return where a task finds a file."""
    return f"{FOLDER}/{name}"


def add_certificates(container: Mapping[str, Any], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a container that may read the files, and one of the same image that writes them before.

    The image's own user may not write into the volume, so the latter's is root, who may do nothing else.
    """
    reader = {
        **container,
        "mountPoints": [{"sourceVolume": VOLUME, "containerPath": FOLDER, "readOnly": True}],
        "dependsOn": [{"containerName": CONTAINER, "condition": "SUCCESS"}],
    }
    writer = {
        "name": CONTAINER,
        "image": container["image"],
        "essential": False,
        "user": "0",
        "command": ["python", "-c", PROGRAM, FOLDER],
        "environment": [{"name": "FILES", "value": json.dumps(files, sort_keys=True)}],
        "mountPoints": [{"sourceVolume": VOLUME, "containerPath": FOLDER, "readOnly": False}],
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
        "logConfiguration": container["logConfiguration"],
    }
    return [reader, writer]
