"""The .gitignore rules of a tree: nested files, those of the checkout around it, and .git/info/exclude."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

GITIGNORE = ".gitignore"


@dataclass(frozen=True)
class _Rules:
    """One file's patterns, which hold for paths below `base`."""

    base: Path
    spec: GitIgnoreSpec


@dataclass(frozen=True)
class IgnoreRules:
    """The rules that hold in one folder, the outermost first: the innermost that says anything decides."""

    rules: tuple[_Rules, ...] = ()

    def inside(self, folder: Path) -> IgnoreRules:
        """Return the rules that hold in `folder`, with its own .gitignore."""
        return self.with_file(folder, folder / GITIGNORE)

    def ignore(self, path: Path, *, is_folder: bool) -> bool:
        """Say whether git would leave a path out. Its folder must not be left out itself."""
        for rules in reversed(self.rules):
            name = path.relative_to(rules.base).as_posix()
            verdict = rules.spec.check_file(f"{name}/" if is_folder else name).include
            if verdict is not None:
                return verdict
        return False

    def with_file(self, base: Path, file: Path) -> IgnoreRules:
        """Return these rules and those of `file`, if it is there, for the paths below `base`."""
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            return self
        return IgnoreRules((*self.rules, _Rules(base, _spec(lines))))


def rules_around(root: Path) -> IgnoreRules:
    """Return what the checkout around `root` (absolute) says, without root's own .gitignore.

    A root that its checkout ignores was named on purpose: then those rules do not hold.
    """
    checkout = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if checkout is None:
        return IgnoreRules()
    rules = IgnoreRules().with_file(checkout, checkout / ".git" / "info" / "exclude")
    below = root.relative_to(checkout).parts
    for depth, name in enumerate(below):
        folder = checkout.joinpath(*below[:depth])
        rules = rules.inside(folder)
        if rules.ignore(folder / name, is_folder=True):
            return IgnoreRules()
    return rules


def _spec(lines: list[str]) -> GitIgnoreSpec:
    """Compile patterns; like git, leave out those that are none."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
