from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from twin_assets.operations.ingest.packing import pack
from twin_assets.operations.ingest.report import Gone, Guessed, Item, Noted, Refused, Skipped, Taken
from twin_assets.operations.ingest.repository import ENVELOPE_BYTES, read_repository, repository_link
from twin_assets.operations.ingest.tree import TreeFile, walk


def grow(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def read(root: Path, **options: Any) -> list[Item]:
    return list(read_repository(root, name="repo", **options))


def documents(items: list[Item]) -> list[dict[str, Any]]:
    return [item.document for item in items if isinstance(item, Taken)]


def skipped(items: list[Item]) -> set[tuple[str, str]]:
    return {(item.reason, item.where) for item in items if isinstance(item, Skipped)}


def test_folder_becomes_one_document_of_path_and_text(tmp_path: Path) -> None:
    root = grow(tmp_path / "mine", {"a.py": "x = 1\n", "src/b.$c.py": "é", "src/.hidden.toml": "a=1"})
    [document] = documents(read(root, owner_id="author-1"))
    assert document == {
        "_id": "repo",
        "name": "mine",
        "link": root.as_uri(),
        "owner_id": "author-1",
        "content": {"a.py": "x = 1\n", "src/.hidden.toml": "a=1", "src/b.$c.py": "é"},
    }


def test_what_is_no_text_of_ones_own_is_left_out_and_counted(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "mine",
        {
            "a.py": "x",
            "logo.png": b"\x89PNG\0",
            "odd.bin": b"\xff\xfe\x01\x02\x03" * 3 + b"\x00",
            "control.dat": b"\xff\x01",
            "big.txt": "x" * 3000,
            "empty.py": "",
            ".env": "PASSWORD=1",
            ".env.example": "PASSWORD=",
            "uv.lock": "x",
            "node_modules/m/index.js": "x",
            ".venv/lib/site.py": "x",
            "lib/vendor/v.go": "x",
            "mine.egg-info/PKG-INFO": "x",
            ".git/config": "x",
        },
    )
    items = read(root, max_file_bytes=2048)
    assert list(documents(items)[0]["content"]) == [".env.example", "a.py", "odd.bin"]
    own = "vendored, generated or a tool's own folder"
    assert skipped(items) == {
        ("binary", "logo.png"),
        ("binary", "control.dat"),
        ("larger than 2 KB", "big.txt"),
        ("empty", "empty.py"),
        ("may hold a secret", ".env"),
        ("generated", "uv.lock"),
        (own, "node_modules/"),
        (own, ".venv/"),
        (own, "lib/vendor/"),
        (own, "mine.egg-info/"),
        (own, ".git/"),
    }


def test_links_are_followed_only_to_files_inside(tmp_path: Path) -> None:
    root = grow(tmp_path / "mine", {"a.py": "x", "src/b.py": "y"})
    grow(tmp_path, {"secret.txt": "s"})
    (root / "inside.py").symlink_to("src/b.py")
    (root / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (root / "broken.txt").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    (root / "folder").symlink_to("src")
    (root / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    items = read(root)
    assert documents(items)[0]["content"] == {"a.py": "x", "inside.py": "y", "src/b.py": "y"}
    reasons = {where.split(" ")[0]: reason for reason, where in skipped(items)}
    assert reasons == {
        "outside.txt": "link that leads outside",
        "broken.txt": "broken link",
        "loop": "unreadable",
        "folder": "link to a folder",
        "up": "link that leads outside",
        "pipe": "no regular file",
    }


IGNORE_TREE: dict[str, str | bytes] = {
    ".gitignore": "*.log\n/only-top.txt\nout/\n!keep.log\ndocs/*\n!docs/keep/\n\\\n!\n#\n**/deep/*.tmp\n",
    "a.log": "x",
    "keep.log": "x",
    "only-top.txt": "x",
    "src/only-top.txt": "x",
    "src/out/x.py": "x",
    "src/.gitignore": "!special.log\n*.gen.py\n",
    "src/special.log": "x",
    "src/other.log": "x",
    "src/a.gen.py": "x",
    "b.gen.py": "x",
    "docs/drop.md": "x",
    "docs/keep/this.md": "x",
    "src/deep/a.tmp": "x",
    "src/deep/a.txt": "x",
    "local.txt": "x",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = grow(tmp_path / "checkout", IGNORE_TREE)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "exclude").write_text("local.txt\n")
    return root


def names(root: Path) -> list[str]:
    return sorted(found.name for found in walk(root, max_file_bytes=1000) if isinstance(found, TreeFile))


def test_ignore_rules_agree_with_git(checkout: Path) -> None:
    command = ["git", "-C", str(checkout), "ls-files", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert names(checkout) == sorted(listed)
    assert "docs/keep/this.md" in listed


def test_folder_inside_a_checkout_obeys_the_rules_around_it(checkout: Path) -> None:
    assert names(checkout / "src") == [".gitignore", "deep/a.txt", "only-top.txt", "special.log"]


def test_ignored_folder_that_is_named_itself_is_taken(checkout: Path) -> None:
    assert names(checkout / "src" / "out") == ["x.py"]


def test_text_that_is_not_utf8_is_read_and_counted(tmp_path: Path) -> None:
    root = grow(tmp_path / "mine", {"old.py": "# Grüße".encode("cp1252"), "bom.py": "\ufeffx = 1"})
    items = read(root)
    assert documents(items)[0]["content"] == {"bom.py": "x = 1", "old.py": "# Grüße"}
    assert [item for item in items if isinstance(item, Guessed)] == [Guessed("old.py")]


def test_file_name_that_is_not_utf8_does_no_harm(tmp_path: Path) -> None:
    root = grow(tmp_path / "mine", {"a.py": "x"})
    (root / os.fsdecode(b"gr\xfc.py")).write_text("y")
    [document] = documents(read(root))
    assert document["content"] == {"a.py": "x", "gr\ufffd.py": "y"}


def test_missing_and_wrong_roots_are_one_clear_item(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == [Gone(str(tmp_path / "none"))]
    file = tmp_path / "file"
    file.write_text("x")
    assert read(file) == [Refused(str(file), "a repository is a folder, not a file")]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert read(empty) == [Skipped("no text in the whole folder", str(empty))]


def test_large_repository_is_split_by_folder_and_says_so(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "mine",
        {
            "README.md": "r" * 100,
            "docs/a.md": "d" * 600,
            "src/main.py": "m" * 100,
            "src/core/a.py": "c" * 600,
            "src/core/b.py": "c" * 300,
            "src/core/c.py": "c" * 900,
            "huge.txt": "h" * 2000,
        },
    )
    items = read(root, max_document_bytes=ENVELOPE_BYTES + 1000)
    parts = {document["_id"]: list(document["content"]) for document in documents(items)}
    assert parts == {
        "repo": ["README.md"],
        "repo#docs": ["docs/a.md"],
        "repo#src": ["src/main.py"],
        "repo#src/core": ["src/core/a.py", "src/core/b.py"],
        "repo#src/core~2": ["src/core/c.py"],
    }
    assert [document["name"] for document in documents(items)][-1] == "mine/src/core~2"
    assert skipped(items) == {("larger than MongoDB stores in one document", "huge.txt")}
    [note] = [item.text for item in items if isinstance(item, Noted)]
    assert note.startswith("mine is larger than one MongoDB document: stored as 5, by folder: its own files")


def test_packing_keeps_every_path_once_and_every_part_within_the_limit() -> None:
    costs = {f"{a}/{b}/{c}": 3 for a in "ab" for b in "cde" for c in "fgh"} | {"top": 10}
    parts = list(pack(costs, 10))
    assert sorted(path for _, paths in parts for path in paths) == sorted(costs)
    assert all(sum(costs[path] for path in paths) <= 10 for _, paths in parts)
    assert list(pack({}, 10)) == []


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://me:token@example.org/me/mine.git", "https://example.org/me/mine"),
        ("git@example.org:me/mine.git", "https://example.org/me/mine"),
        ("ssh://git@example.org:2222/me/mine.git", "https://example.org/me/mine"),
        ("https://example.org/me/mine?token=1", "https://example.org/me/mine"),
    ],
)
def test_link_is_the_origin_without_credentials(tmp_path: Path, url: str, link: str) -> None:
    config = (
        f'[core]\n\tbare = false\n[remote "fork"]\n\turl = https://x.org\n[remote "origin"]\n\turl = {url}\n'
    )
    root = grow(tmp_path / "mine", {".git/config": config})
    assert repository_link(root) == link
