"""MongoDB's own secrets are changed under a flow at work: root's password and the set's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from twin_assets.settings import Settings
from twin_assets_tests.deploy.files import interpolate
from twin_assets_tests.mongo_shell import SERVICES, ask_for_health, initiate
from twin_assets_tests.scenarios.house import House
from twin_assets_tests.scenarios.operating.posts import bring_through, flow, prove
from twin_assets_tests.scenarios.own_servers import restart
from twin_assets_tests.scenarios.processes import LongRun
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("empty_qdrant")]

OF_TWIN = "0fTw1n"
AUTHENTICATION_FAILED = 18
REFUSED = "Error: MongoDB refuses root's login: MONGO_ROOT_PASSWORD in .env is not the one that it has\n"
NEW = "an0ther:p@ss/word"
Init = Callable[[str], "CompletedProcess[str]"]


@pytest.fixture
def mongo_init(lived_in: House, settings: Settings, tmp_path: Path) -> Init:
    """Run the service mongo-init with what `.env` has for MONGO_ROOT_PASSWORD."""

    def run(root_password: str) -> CompletedProcess[str]:
        variables = {
            "MONGO_ROOT_PASSWORD": root_password,
            "MONGO_PASSWORD": OF_TWIN,
            "TWIN_MONGODB_DATABASE": settings.mongodb_database,
        }
        environment = interpolate(SERVICES["mongo-init"]["environment"], variables)
        return initiate(tmp_path, environment | {"MONGO_ADDRESS": lived_in.mongod.address})

    return run


@pytest.fixture
def of_twin(lived_in: House, settings: Settings, mongo_init: Init) -> Settings:
    """The settings of an installation whose user of MongoDB the service mongo-init has made."""
    made = mongo_init(lived_in.mongod.password)
    assert made.returncode == 0, made.stdout + made.stderr
    url = lived_in.mongod.url_of("twin", OF_TWIN)
    return lived_in.settings(mongodb_database=settings.mongodb_database, mongodb_url=url)


def test_roots_password_is_changed(lived_in, of_twin, mongo_init, tmp_path):
    mongod = lived_in.mongod
    old = mongod.password
    with flow(of_twin) as runs:
        bring_through(of_twin, 1)
        with MongoClient(mongod.url) as root:
            root.admin.command({"updateUser": "root", "pwd": NEW})
        mongod.password = NEW
        assert refuses(mongod.url_of("root", old))
        assert not refuses(mongod.url)
        refused = mongo_init(old)
        assert refused.returncode == 1
        assert refused.stdout + refused.stderr == REFUSED
        bring_through(of_twin, 2)
        done = mongo_init(NEW)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ask_for_health(tmp_path, mongod.address).returncode == 0
        bring_through(of_twin, 3)
        assert are_at_work(runs)
        prove(of_twin)


def test_the_key_of_the_sets_members_is_changed(lived_in, of_twin, tmp_path):
    mongod = lived_in.mongod
    with flow(of_twin) as runs:
        bring_through(of_twin, 1)
        mongod.stop()
        await_said(runs, "waiting: MongoDB")
        old = mongod.key_file.read_text()
        mongod.key = "anotherMemberKnowsThis"
        restart(mongod)
        assert mongod.key_file.read_text() == "anotherMemberKnowsThis\n" != old
        assert ask_for_health(tmp_path, mongod.address).returncode == 0
        bring_through(of_twin, 2)
        await_said(runs, "MongoDB is back")
        assert are_at_work(runs)
        prove(of_twin)


def refuses(url: str) -> bool:
    try:
        with MongoClient(url) as client:
            client.admin.command("ping")
    except OperationFailure as error:
        return error.code == AUTHENTICATION_FAILED
    return False


def await_said(runs: Iterable[LongRun], words: str) -> None:
    for run in runs:
        wait_until(lambda run=run: words in run.said(), what=f"it says: {words}", limit_s=60)  # type: ignore[misc]


def are_at_work(runs: tuple[LongRun, LongRun]) -> bool:
    return [run.process.poll() for run in runs] == [None, None]
