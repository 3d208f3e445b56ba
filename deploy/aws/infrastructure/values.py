"""How a stack's values are read: a wrong one is one line that says what to do."""

from __future__ import annotations

import re

import pulumi


class ConfigError(Exception):
    """Raised when a stack's configuration cannot be used; says which value, and what it should be."""


def matching(config: pulumi.Config, name: str, pattern: re.Pattern[str], what: str) -> str:
    """Return a value that has to be set, and to match."""
    value = config.require(name)
    if not pattern.fullmatch(value):
        raise ConfigError(f"{name} is {value!r}; set it to {what}: pulumi config set {name} …")
    return value


def one_of(config: pulumi.Config, name: str, default: str, *allowed: str) -> str:
    """Return one of some words."""
    value = config.get(name) or default
    if value not in allowed:
        raise ConfigError(
            f"{name} is {value!r}; set it to one of {', '.join(allowed)}: pulumi config set {name} …"
        )
    return value


def between(config: pulumi.Config, name: str, default: int, *, low: int, high: int) -> int:
    """Return a number within bounds, both of which it may be."""
    value = config.get_int(name)
    if value is None:
        return default
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}; set it to {low} … {high}: pulumi config set {name} …")
    return value


def refuse(config: pulumi.Config, names: tuple[str, ...], *, because: str) -> None:
    """Raise ConfigError where a value is set that would not be used."""
    for name in names:
        if config.get_secret(name) is not None:
            raise ConfigError(f"{name} is set, but {because}; take it out: pulumi config rm {name}")
