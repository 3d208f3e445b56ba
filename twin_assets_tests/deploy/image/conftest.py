"""The image's tree, and the system of docker-compose.yaml run from it, once for all tests here."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from scripts.image.record import Image
from twin_assets_tests.deploy.files import ROOT
from twin_assets_tests.deploy.image.system import System, running_system

FOLDER = ROOT / ".venv" / "image"


@pytest.fixture(scope="session")
def image() -> Image:
    try:
        return Image.load(FOLDER)
    except FileNotFoundError:
        pytest.fail("the image's tree is not built: run `make image-test`")


@pytest.fixture(scope="session")
def system(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        pytest.fail("these servers need a network of their own: run `make image-test`")
    with running_system(image, tmp_path_factory.mktemp("image")) as running:
        yield running
