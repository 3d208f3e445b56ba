"""Backups on real servers with the compose file's own commands, and what spoils them."""

from __future__ import annotations

import pytest

from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.rebuild import rebuild

pytestmark = pytest.mark.servers


def test_snapshots_that_were_cut_short_spoil_a_backup(twin, steps, filled):
    steps.run("backup-qdrant")
    first = next((steps.backups / "incoming/qdrant").iterdir())
    first.rename(first.with_name(f"{first.name}.new"))
    for name in ("backup-mongo", "backup-postgres", "backup-rabbitmq"):
        steps.run(name)
    assert f"{first.name}: was not made" in steps.run("backup", fails=True)


@pytest.mark.parametrize("name", ["backup-mongo", "backup-postgres", "backup-rabbitmq"])
def test_a_step_that_nobody_knows_is_refused(steps, name):
    assert "usage: " in steps.run(name, "restor", "NAME", fails=True)


def test_a_rebuild_that_comes_in_between_spoils_a_backup(twin, steps, filled):
    steps.run("backup-qdrant")
    for name in ("backup-mongo", "backup-postgres", "backup-rabbitmq"):
        steps.run(name)
    rebuild(twin, Snapshot.CLEANED, DataType.POSTS)
    assert "a rebuild or a rollback came in between" in steps.run("backup", fails=True)
    assert steps.back_up()


def test_a_missing_part_spoils_a_backup(steps, filled):
    steps.run("backup-qdrant")
    assert "mongodb-meta.archive.gz: was not made" in steps.run("backup", fails=True)
    assert "there are: none" in steps.run("backup", "twin", "backup", "verify", "/backups", fails=True)


def test_wrong_passwords_end_a_step_and_leave_no_part(steps, filled, monkeypatch):
    steps.run("backup-qdrant")
    for name, variable in (("backup-mongo", "MONGO_ROOT_PASSWORD"), ("backup-postgres", "PGPASSWORD")):
        with monkeypatch.context() as patched:
            patched.setitem(steps.where, variable, "wr0ng")
            said = steps.run(name, fails=True)
        assert "uthentication failed" in said or "password authentication failed" in said
        assert "wr0ng" not in said
    parts = {path.name for path in (steps.backups / "incoming").iterdir()}
    assert not parts & {"mongodb.archive.gz", "mongodb-meta.archive.gz", "postgres.dump"}
