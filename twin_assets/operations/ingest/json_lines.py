"""JSON lines, read strictly: one object a line, no key twice, no NaN; a wrong line is named by its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from twin_assets.operations.ingest.decoding import MARKS, decode_western, is_binary, marked_encoding
from twin_assets.operations.ingest.report import Guessed, Item, Refused, Skipped

MAX_LINE_BYTES = 64 * 1024 * 1024


def json_objects(file: Path) -> Iterator[tuple[str, dict[str, Any]] | Item]:
    """Yield (`file:line`, object) for every good line, and what is wrong with the others."""
    is_empty, guessed = True, 0
    for number, line in numbered_lines(file):
        where = f"{file}:{number}"
        if isinstance(line, Refused):
            yield line
            return
        text, is_guess = line
        guessed += is_guess
        if not text.strip():
            continue
        is_empty = False
        parsed = _parse(where, text)
        yield parsed
        if isinstance(parsed, Refused) and number == 1 and text.lstrip().startswith("["):
            return
    if is_empty:
        yield Skipped("empty", str(file))
    if guessed:
        yield Guessed(f"{file} ({guessed} lines)")


def numbered_lines(file: Path) -> Iterator[tuple[int, tuple[str, bool] | Refused]]:
    """Yield a text file's lines from 1, each with whether its encoding was guessed."""
    with file.open("rb") as raw:
        head = raw.read(8192)
    if is_binary(head):
        yield 1, Refused(str(file), "it is binary, not JSON lines")
    elif (encoding := marked_encoding(head)) and encoding != "utf-8-sig":
        with file.open(encoding=encoding, errors="replace") as text:
            yield from _bounded(file, text)
    else:
        with file.open("rb") as raw:
            yield from _bounded(file, raw)


def _bounded(file: Path, lines: IO[str] | IO[bytes]) -> Iterator[tuple[int, tuple[str, bool] | Refused]]:
    number = 0
    while line := lines.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES:
            reason = f"the line is longer than {MAX_LINE_BYTES >> 20} MB; the rest of the file was not read"
            yield number, Refused(f"{file}:{number}", reason)
            return
        if isinstance(line, str):
            yield number, (line, False)
        else:
            yield number, _line_text(line.removeprefix(MARKS[0][0]) if number == 1 else line)


def _line_text(line: bytes) -> tuple[str, bool]:
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return decode_western(line), True


def _parse(where: str, text: str) -> tuple[str, dict[str, Any]] | Refused:
    if text.lstrip().startswith("["):
        return Refused(where, "it is a JSON array; put each object on a line of its own: jq -c '.[]' FILE")
    try:
        fields = json.loads(text.rstrip(), object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return Refused(where, f"it is not JSON ({error.msg} at column {error.colno})")
    except RecursionError:
        return Refused(where, "it is nested too deeply")
    except ValueError as error:
        return Refused(where, str(error))
    if not isinstance(fields, dict):
        return Refused(where, "it is no JSON object")
    return where, fields


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"the key {name!r} is there twice")
        fields[name] = value
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
