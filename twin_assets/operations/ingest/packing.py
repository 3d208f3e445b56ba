"""Splits a repository that outgrows one MongoDB document, by folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def pack(costs: Mapping[str, int], limit: int) -> Iterator[tuple[str, list[str]]]:
    """Yield (folder, paths) so that the costs of every part's paths, in bytes, stay within `limit`.

    All in one part, named "", where they fit; else one part per top-level folder, and so on downwards. The
    files that lie in a split folder itself are a part of that folder's name; `folder~2` … hold what does not
    fit there. Every single cost must be within the limit.
    """
    pending = [("", dict(costs))] if costs else []
    while pending:
        folder, inside = pending.pop()
        if sum(inside.values()) <= limit:
            yield folder, list(inside)
            continue
        own, folders = _by_folder(folder, inside)
        for number, paths in enumerate(_slices(own, limit), start=1):
            yield folder if number == 1 else f"{folder}~{number}", paths
        pending += reversed(folders.items())


def _by_folder(folder: str, costs: Mapping[str, int]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    prefix = f"{folder}/" if folder else ""
    own: dict[str, int] = {}
    folders: dict[str, dict[str, int]] = {}
    for path, cost in costs.items():
        name, slash, _ = path[len(prefix) :].partition("/")
        if slash:
            folders.setdefault(prefix + name, {})[path] = cost
        else:
            own[path] = cost
    return own, folders


def _slices(costs: Mapping[str, int], limit: int) -> Iterator[list[str]]:
    paths: list[str] = []
    total = 0
    for path, cost in costs.items():
        if paths and total + cost > limit:
            yield paths
            paths, total = [], 0
        paths.append(path)
        total += cost
    if paths:
        yield paths
