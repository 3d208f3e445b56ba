"""The deployment files, parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import check_jsonschema
import yaml

from twin_assets.settings import Settings

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")
# What belongs to one machine, what the image itself sets, and a right that no service needs.
LOCAL_SETTINGS = re.compile(r"local_\w+|state_dir|tools_dir|encoder_dir|mongodb_admin_url")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, continued lines joined."""

    stage: str
    name: str
    text: str


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def read_dockerfile() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    stage, found = "", []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stage = rest.split(" AS ")[-1]
        if name:
            found.append(Instruction(stage, name, rest))
    return found


def read_dotenv_example() -> dict[str, str]:
    """Return the variables of .env.example, those that are commented out included."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Put variables in as compose does. Raises KeyError where a required one is missing."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    return VARIABLE.sub(lambda hit: _value(hit, variables), value) if isinstance(value, str) else value


def _value(hit: re.Match[str], variables: Mapping[str, str]) -> str:
    given = variables.get(hit["name"], "")
    if not given and hit["kind"] == "?":
        raise KeyError(hit["name"])
    return given or (hit["text"] if hit["kind"] == "-" else "")


def shared_settings() -> set[str]:
    """Return the variables of all settings that every machine of a deployment must agree on."""
    fields = [field for field in Settings.model_fields if not LOCAL_SETTINGS.fullmatch(field)]
    return {f"TWIN_{field.upper()}" for field in fields}
