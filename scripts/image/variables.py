"""Variables of a Dockerfile, put in as Docker does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::(?P<kind>[-+])(?P<text>[^}]*))?\}|(?P<bare>\w+))")


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """An unset variable is empty, as in a shell."""
    return VARIABLE.sub(lambda hit: _value(hit, variables), text)


def pairs(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Read `A=1 B="2 3"`, the form of ENV, LABEL and ARG."""
    found = (part.partition("=") for part in shlex.split(text))
    return {name: substitute(value, variables) for name, _, value in found}


def _value(hit: re.Match[str], variables: Mapping[str, str]) -> str:
    value = variables.get(hit["braced"] or hit["bare"], "")
    if hit["kind"] == "-":
        return value or hit["text"]
    if hit["kind"] == "+":
        return hit["text"] if value else ""
    return value
