"""Passwords are changed under a flow at work: it goes on or ends with one line, and nothing is lost."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from pymongo import MongoClient

from twin_assets.models.kinds import DataType
from twin_assets.operations.twin import open_twin
from twin_assets_tests.scenarios.assertions import assert_clean
from twin_assets_tests.scenarios.documents import post, words
from twin_assets_tests.scenarios.house import ROOT_LOGIN
from twin_assets_tests.scenarios.own_servers import restart
from twin_assets_tests.scenarios.processes import LongRun, long_run
from twin_assets_tests.waiting import wait_until

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def empty_qdrant(lived_in, settings) -> None:
    """Databases are new for each test; Qdrant is the module's."""
    with open_twin(settings) as twin:
        for name in twin.collections.names():
            twin.collections.drop(name)


@contextmanager
def flow(settings):
    """Capture and stream as processes of their own."""
    with long_run(settings, "capture") as capture, long_run(settings, "stream") as stream:
        yield capture, stream


def await_applied(settings, number: int) -> None:
    """Wait until a post is searchable."""
    with open_twin(settings) as twin:
        wait_until(
            lambda: any(
                twin.store.chunk_texts(found.collection, f"int:{number}")
                for found in twin.meta.generations(DataType.POSTS)
                if found.snapshot.value == "vector" and twin.collections.exists(found.collection)
            ),
            what=f"post {number} is searchable",
            limit_s=90,
        )


def insert(settings, number: int) -> None:
    with MongoClient(settings.require_url("mongodb_url")) as client:
        client[settings.mongodb_database].posts.insert_one(post(number, words(20, prefix=f"p{number}x")))


def says_refused(run: LongRun) -> bool:
    """Say whether a run has ended with one line that names the setting to mend."""
    return run.process.poll() == 2 and "TWIN_" in run.said().splitlines()[-1]


def prove(settings) -> None:
    with open_twin(settings) as twin:
        assert_clean(twin)


def test_mongodbs_password_is_changed(lived_in, settings):
    user = "twin_rotated"
    with MongoClient(settings.require_url("mongodb_url")) as root:
        roles = [
            {"role": "readWrite", "db": name} for name in (settings.mongodb_database, settings.meta_database)
        ]
        root.admin.command({"createUser": user, "pwd": "old", "roles": roles})

        def settings_with(password: str):
            url = lived_in.servers["mongodb"].url.replace(ROOT_LOGIN, f"{user}:{password}")
            return lived_in.settings(mongodb_database=settings.mongodb_database, mongodb_url=url)

        with flow(settings_with("old")) as (capture, stream):
            insert(settings, 1)
            await_applied(settings, 1)
            root.admin.command({"updateUser": user, "pwd": "new"})
            # Connections that are logged in stay so; no new one is let in.
            insert(settings, 2)
            await_applied(settings, 2)
            stream.end()
            capture.end()
        with flow(settings_with("old")) as (capture, stream):
            wait_until(lambda: says_refused(capture), what="capture says that it is refused", limit_s=60)
            wait_until(lambda: says_refused(stream), what="the stream says that it is refused", limit_s=60)
        insert(settings, 3)
        with flow(settings_with("new")):
            await_applied(settings, 3)
            prove(settings)


def test_rabbitmqs_password_is_changed(lived_in, settings):
    lived_in.control_broker("add_user", "twin", "old")
    lived_in.control_broker("set_permissions", "twin", ".*", ".*", ".*")

    def settings_with(password: str):
        url = lived_in.servers["rabbitmq"].url.replace("guest:guest", f"twin:{password}")
        return lived_in.settings(mongodb_database=settings.mongodb_database, rabbitmq_url=url)

    with flow(settings_with("old")):
        insert(settings, 1)
        await_applied(settings, 1)
        lived_in.control_broker("change_password", "twin", told="new\n")
        insert(settings, 2)
        await_applied(settings, 2)
    with flow(settings_with("old")) as (capture, stream):
        wait_until(lambda: says_refused(capture), what="capture says that it is refused", limit_s=60)
        wait_until(lambda: says_refused(stream), what="the stream says that it is refused", limit_s=60)
    insert(settings, 3)
    with flow(settings_with("new")):
        await_applied(settings, 3)
        prove(settings)


def test_qdrants_key_is_changed(lived_in, settings):
    with flow(settings) as (_, stream):
        insert(settings, 1)
        await_applied(settings, 1)
        lived_in.qdrant.stop()
        lived_in.qdrant.key = "another"
        restart(lived_in.qdrant)
        insert(settings, 2)
        # Capture asks Qdrant only when it has something to look over, and may go on for long.
        wait_until(lambda: says_refused(stream), what="the stream says that it is refused", limit_s=90)
    new = lived_in.settings(mongodb_database=settings.mongodb_database)
    with flow(new):
        await_applied(new, 2)
        prove(new)
