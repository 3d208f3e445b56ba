"""Passwords are changed under a flow at work: it goes on or ends with one line, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pymongo import MongoClient

from twin_assets.operations.twin import open_twin
from twin_assets.settings import Settings
from twin_assets_tests.scenarios.operating.posts import await_applied, bring_through, flow, insert, prove
from twin_assets_tests.scenarios.own_servers import restart
from twin_assets_tests.scenarios.processes import LongRun
from twin_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("empty_qdrant")]


def await_refused(run: LongRun) -> None:
    """Wait until a run has ended with one line that names the setting to mend."""

    wait_until(lambda: run.process.poll() is not None, what="it ends", limit_s=90)
    assert run.process.returncode == 2, run.said()
    assert "TWIN_" in run.said().splitlines()[-1], run.said()


def await_looked_over(settings: Settings) -> None:
    """Wait until capture has nothing left to ask Qdrant for: refused, it would publish no more."""
    with open_twin(settings) as twin:
        wait_until(
            lambda: twin.meta.load_position() is not None and twin.meta.load_recheck() is None,
            what="capture has looked over what it published at first",
        )


def prove_rotation(settings_with: Callable[[str], Settings], change: Callable[[], object]) -> None:
    """Whoever is logged in stays so, and only a login with the old password is refused."""
    old, new = settings_with("old"), settings_with("new")
    with flow(old) as (capture, stream):
        bring_through(old, 1)
        change()
        insert(new, 2)
        await_applied(new, 2)
        stream.end()
        capture.end()
    with flow(old) as runs:
        for run in runs:
            await_refused(run)
    insert(new, 3)
    with flow(new):
        await_applied(new, 3)
        prove(new)


def test_mongodbs_password_is_changed(lived_in, settings):
    user = "twin_rotated"
    with MongoClient(settings.require_url("mongodb_url")) as root:
        roles = [
            {"role": "readWrite", "db": name} for name in (settings.mongodb_database, settings.meta_database)
        ]
        root.admin.command({"createUser": user, "pwd": "old", "roles": roles})

        def settings_with(password: str) -> Settings:
            url = lived_in.mongod.url_of(user, password)
            return lived_in.settings(mongodb_database=settings.mongodb_database, mongodb_url=url)

        prove_rotation(settings_with, lambda: root.admin.command({"updateUser": user, "pwd": "new"}))


def test_rabbitmqs_password_is_changed(lived_in, settings):
    lived_in.control_broker("add_user", "twin", "old")
    lived_in.control_broker("set_permissions", "twin", ".*", ".*", ".*")

    def settings_with(password: str) -> Settings:
        url = lived_in.servers["rabbitmq"].url.replace("guest:guest", f"twin:{password}")
        return lived_in.settings(mongodb_database=settings.mongodb_database, rabbitmq_url=url)

    prove_rotation(settings_with, lambda: lived_in.control_broker("change_password", "twin", told="new\n"))


def test_qdrants_key_is_changed(lived_in, settings):
    with flow(settings) as (_, stream):
        bring_through(settings, 1)
        await_looked_over(settings)
        lived_in.qdrant.stop()
        lived_in.qdrant.key = "another"
        restart(lived_in.qdrant)
        insert(settings, 2)
        # Capture asks Qdrant only when it has something to look over, and may go on for long.
        await_refused(stream)
    new = lived_in.settings(mongodb_database=settings.mongodb_database)
    with flow(new):
        await_applied(new, 2)
        prove(new)
