from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

from twin_assets.cli.app import app
from twin_assets.defs.jobs import rebuild_all, rebuild_by_type, verify_features
from twin_assets.defs.sensors import all_sensors
from twin_assets.models.chunk import CHUNK_MODELS
from twin_assets.models.cleaned import CLEANED_MODELS
from twin_assets.models.embedded import EmbeddedChunkModel, vector_hash
from twin_assets.models.head import Head
from twin_assets.operations.checks import CHECKS
from twin_assets.settings import Settings
from twin_assets.store import points
from twin_assets_tests.deploy.files import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NOT_LITERAL = {
    "tools_dir": "`tools` in the virtual environment",
    "encoder_dir": "`encoders` in the virtual environment",
}
ROW = re.compile(r"^\| `(TWIN_\w+)` \| ([^|]+) \|", flags=re.MULTILINE)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shown(default: Any) -> str:
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_table_of_settings_is_complete_and_gives_the_defaults() -> None:
    expected = {
        f"TWIN_{name.upper()}": NOT_LITERAL.get(name, shown(field.default))
        for name, field in Settings.model_fields.items()
    }
    rows = ROW.findall(text_of("docs/settings.md"))
    assert dict(rows) == expected
    assert len(rows) == len(expected)


def test_every_profile_is_explained() -> None:
    profiles = get_args(Settings.model_fields["profile"].annotation)
    [row] = re.findall(r"^\| `TWIN_PROFILE` .*$", text_of("docs/settings.md"), flags=re.MULTILINE)
    assert all(f"`{profile}`:" in row for profile in profiles)


def test_every_check_sensor_and_job_is_explained() -> None:
    operating = text_of("docs/operating.md")
    names = [*CHECKS, rebuild_all.name, verify_features.name]
    names += [job.name for job in rebuild_by_type] + [sensor.name for sensor in all_sensors]
    assert [name for name in names if f"`{name}`" not in operating] == []


def test_every_payload_field_is_explained() -> None:
    reading = text_of("docs/reading.md")
    chunk_part, _, head_part = reading.partition("### Heads")
    chunk_fields = {field for model in CHUNK_MODELS.values() for field in model.model_fields}
    chunk_fields |= {"id", "type", "revision", "source_hash", "content_hash", "vector_hash"}
    head_fields = {field for model in CLEANED_MODELS.values() for field in model.model_fields}
    head_fields |= {"id", "head", *Head.model_fields}
    assert _missing(chunk_fields - {"occurrence"}, chunk_part) == set()
    assert _missing(head_fields, head_part) == set()


def test_the_documented_chunk_fields_are_those_that_are_stored() -> None:
    model = next(iter(CHUNK_MODELS.values()))
    chunk = model.model_validate(_chunk() | {"platform": "blog", "author_id": "author-1"})
    embedded = EmbeddedChunkModel(chunk=chunk, vector=(1.0, 0.0))
    point = points.chunk_point(embedded, revision=1, source_hash="s", content_hash="c")
    assert point.payload is not None
    assert _missing(set(point.payload), text_of("docs/reading.md").partition("### Heads")[0]) == set()
    assert point.payload["vector_hash"] == vector_hash([1.0, 0.0])


def _chunk() -> dict[str, Any]:
    place = {"chunk_index": 0, "chunk_count": 1, "start": 0, "end": 6}
    return {"entry": "str:a", "content": "a text", "recipe": "r"} | place


def _missing(fields: set[str], text: str) -> set[str]:
    documented = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| [^|]*\|", text, flags=re.MULTILINE))))
    return fields - documented


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists(), target
        if heading:
            assert heading in _headings(aim), target


def _headings(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_target_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    group: Any = typer.main.get_command(app)
    assert set(re.findall(r"`twin ([a-z][a-z-]+)", text)) <= set(group.commands)
    targets = set(re.findall(r"^([a-z][\w-]*):", text_of("Makefile"), flags=re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    known = {f"TWIN_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"`(TWIN_[A-Z_]*[A-Z])(?:=[^`]*)?`", path.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_example_compiles(path: Path) -> None:
    for number, code in enumerate(
        re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    ):
        compile(code, f"{path.name} example {number + 1}", "exec")
