"""A Dockerfile, parsed into stages; what this builder does not know is an error, never ignored."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from scripts.image.errors import ImageError

KNOWN = {
    *("ARG", "CMD", "COPY", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL"),
    *("USER", "WORKDIR"),
}


@dataclass(frozen=True)
class Instruction:
    """One instruction, continued lines joined, its flags (`--from=…`) taken off the text."""

    name: str
    text: str
    flags: tuple[tuple[str, str], ...] = ()

    def flag(self, name: str) -> str | None:
        return dict(self.flags).get(name)

    def __str__(self) -> str:
        flags = [f"--{name}={value}" for name, value in self.flags]
        return " ".join([self.name, *flags, self.text])


@dataclass(frozen=True)
class Stage:
    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True)
class Dockerfile:
    """`arguments` are the ARG lines before the first FROM, in order, as they stand."""

    arguments: list[str]
    stages: list[Stage]


def read_dockerfile(path: Path) -> Dockerfile:
    """Raises ImageError for an instruction that is not known."""
    found = Dockerfile([], [])
    for instruction in _instructions(path.read_text(encoding="utf-8")):
        if instruction.name == "FROM":
            base, _, name = instruction.text.partition(" AS ")
            found.stages.append(Stage(name.strip() or str(len(found.stages)), base.strip()))
        elif found.stages:
            found.stages[-1].instructions.append(instruction)
        elif instruction.name == "ARG":
            found.arguments.append(instruction.text)
        else:
            raise ImageError(f"Dockerfile: {instruction.name} stands before the first FROM")
    if not found.stages:
        raise ImageError(f"{path} has no FROM")
    return found


def _instructions(text: str) -> list[Instruction]:
    without_comments = re.sub(r"^[ \t]*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", without_comments).splitlines()
    return [_parse(line.strip()) for line in lines if line.strip()]


def _parse(line: str) -> Instruction:
    name, _, rest = line.partition(" ")
    if name.upper() not in KNOWN:
        raise ImageError(f"Dockerfile: the instruction {name} is not known to this builder")
    if name.upper() in {"COPY", "RUN"} and re.search(r"<<-?\s*[\"']?\w", rest):
        raise ImageError(f"Dockerfile: {name} <<… is not known to this builder")
    flags = []
    # A HEALTHCHECK's options are its own; every other flag says how the instruction is carried out.
    while found := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        flags.append((found[1], found[2]))
        rest = rest[found.end() :]
    return Instruction(name.upper(), rest.strip(), tuple(flags))
