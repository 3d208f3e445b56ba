"""What lies in the image: the Dockerfile's stages, built as plain folders by `make image-test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.image.host import borrowed_environment, borrowed_files
from scripts.image.record import Image
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.deploy.image.tree import files_of, find

pytestmark = pytest.mark.image

OWN_FOLDERS = {"/var/lib/twin", "/var/lib/twin/logs", "/opt/dagster/home"}
PROGRAM_FOLDERS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/twin/bin")
BUILD_TOOLS = {"gcc", "cc", "g++", "make", "ld", "as", "cmake", "cargo", "rustc", "git", "uv"}
PRIVATE = {".env", ".netrc", ".pypirc", "pip.conf", "id_rsa", "id_ed25519", ".git", "credentials"}
SECRET_MARK = b"PRIVATE KEY-----\n"
TEXT_LIMIT_BYTES = 100_000


def test_no_build_tool_is_in_it(image: Image) -> None:
    names = {Path(path).name for path, _ in files_of(image) if str(Path(path).parent) in PROGRAM_FOLDERS}
    assert {"dagster", "dagster-webserver", "dagster-daemon", "twin"} <= names
    assert names & BUILD_TOOLS == set()


def test_no_cache_of_a_package_manager_is_in_it(image: Image) -> None:
    paths = [path for path, _ in files_of(image)]
    assert [path for path in paths if path.startswith("/root/.cache") or path.endswith(".deb")] == []


def test_no_source_or_test_of_ours_is_in_it(image: Image) -> None:
    found = {path for path, _ in files_of(image) if "twin_assets_tests" in path or path.startswith("/src")}
    assert found == set()


def test_no_secret_is_in_it(image: Image) -> None:
    paths = [path for path, _ in files_of(image)]
    assert [path for path in paths if Path(path).name in PRIVATE and not _is_code(path)] == []
    etc = [
        path
        for path in paths
        if path.startswith(("/etc/", "/root/", "/home/", "/var/lib/twin", "/opt/dagster"))
    ]
    assert [path for path in etc if _holds(image, path, SECRET_MARK)] == []


def _is_code(path: str) -> bool:
    return path.startswith("/opt/twin/lib/")


def _holds(image: Image, path: str, mark: bytes) -> bool:
    place = find(image, path)
    if place is None or place.is_symlink() or not place.is_file() or place.stat().st_size > TEXT_LIMIT_BYTES:
        return False
    return mark in place.read_bytes()


def test_nothing_of_the_machine_that_built_it_stays(image: Image) -> None:
    assert borrowed_environment().keys() & image.environment.keys() == set()
    for bind in borrowed_files():
        place = find(image, bind.target)
        # The base has certificates of its own, and empty files where an engine mounts its own.
        assert place is None or bind.target == "/etc/ssl/certs" or place.stat().st_size == 0, bind.target
    for path in ("/opt/twin/pyvenv.cfg", "/etc/apt/sources.list", "/etc/passwd"):
        assert not _holds(image, path, str(ROOT).encode())


def test_its_user_owns_nothing_but_what_it_may_write(image: Image) -> None:
    user, group = map(int, image.user.split(":"))
    owned = {path for path, status in files_of(image) if user == status.st_uid or group == status.st_gid}
    assert owned == OWN_FOLDERS


def test_everybody_may_read_what_it_runs(image: Image) -> None:
    closed = [
        path
        for path, status in files_of(image)
        if path.startswith("/opt/") and path not in OWN_FOLDERS and not status.st_mode & 0o004
    ]
    assert closed == []


def test_every_step_of_the_last_stage_is_a_layer(image: Image) -> None:
    made = [layer.made_by.partition(" ")[0] for layer in image.layers]
    assert made == ["FROM", "RUN", *["COPY"] * 4, "WORKDIR"]
    assert max(image.layers, key=lambda layer: layer.bytes).made_by.endswith("/opt/twin /opt/twin")
