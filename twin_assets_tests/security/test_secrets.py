"""No password, key or option of a URL is ever said: in errors and their causes, logs, status or Dagster."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from typer.testing import CliRunner

from twin_assets.broker.dead_letters import DeadLetters
from twin_assets.broker.depth import queue_depths
from twin_assets.broker.publisher import ChangePublisher
from twin_assets.cli.app import app
from twin_assets.cli.long_runs import dagster_api, dagster_url, read_long_runs
from twin_assets.definitions import defs
from twin_assets.errors import ConfigurationError, ServerUnavailable, StackError, TwinError
from twin_assets.operations.features import FeatureStore
from twin_assets.operations.status import read_status
from twin_assets.settings import Settings, load_settings
from twin_assets.source.client import connect
from twin_assets.store.glance import StoreGlance
from twin_assets.store.point_store import open_store
from twin_assets_tests.security.conftest import Guarded
from twin_assets_tests.security.saying import NOWHERE, all_that_is_said, leaks_in
from twin_assets_tests.security.servers import QUOTED_PASSWORD


def _ask_publisher(settings: Settings) -> None:
    with ChangePublisher(settings.require_url("rabbitmq_url"), queues=1):
        pass


def _ask_letters(settings: Settings) -> None:
    with DeadLetters(settings.require_url("rabbitmq_url")) as letters:
        letters.peek()


def _ask_store(settings: Settings) -> None:
    with open_store(settings, timeout_s=5) as store:
        store.check()


def _ask_glance(settings: Settings) -> None:
    with StoreGlance(settings, timeout_s=5) as store:
        store.check()


def _ask_features(settings: Settings) -> None:
    with FeatureStore(settings) as features:
        features.search("anything")


ASK: dict[str, Callable[[Settings], object]] = {
    "mongodb": lambda settings: connect(settings.require_url("mongodb_url"), timeout_s=0.5),
    "rabbitmq depths": lambda settings: queue_depths(settings.require_url("rabbitmq_url"), 1),
    "rabbitmq publisher": _ask_publisher,
    "rabbitmq letters": _ask_letters,
    "qdrant": _ask_store,
    "a glance at qdrant": _ask_glance,
    "qdrant reader": _ask_features,
    "dagster": lambda settings: dagster_api(settings).active_runs(),
}


@pytest.fixture
def nowhere(tmp_path: Path) -> Settings:
    """Servers that nobody runs, each with secrets in its setting."""
    return load_settings(state_dir=tmp_path, _env_file=None, **NOWHERE)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anybody logs, down to what only debugging shows."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK.keys())
def test_a_server_that_is_down_is_told_of_without_its_secrets(
    nowhere: Settings, said: pytest.LogCaptureFixture, ask: Callable[[Settings], object]
) -> None:
    with pytest.raises((ServerUnavailable, StackError)) as caught:
        ask(nowhere)
    assert "127.0.0.1:1" in str(caught.value)
    assert leaks_in(all_that_is_said(caught.value) + said.text) == []


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.usefixtures("patient_status")
@pytest.mark.parametrize("server", ["mongodb", "rabbitmq", "qdrant"])
def test_a_refused_login_is_told_of_without_the_password(
    guarded: Guarded, tmp_path: Path, said: pytest.LogCaptureFixture, server: str
) -> None:
    wrong: dict[str, Any] = {"password": f"{QUOTED_PASSWORD}x", "authority": guarded.certificate.own}
    settings = guarded.settings(
        tmp_path,
        mongodb_url=guarded.mongodb.url_for("twin", **wrong),
        rabbitmq_url=guarded.rabbitmq.url_for("stream", **wrong),
        qdrant_api_key="wrong-k3y",
    )
    for ask in [ask for name, ask in ASK.items() if name.startswith(server)]:
        with pytest.raises(ConfigurationError, match=f"TWIN_{server.upper()}_(URL|API_KEY)") as caught:
            ask(settings)
        assert leaks_in(all_that_is_said(caught.value) + said.text) == []
    problem = read_status(settings)["servers"][server]["problem"]
    assert f"TWIN_{server.upper()}" in problem
    assert leaks_in(problem) == []


def test_settings_show_themselves_without_secrets(nowhere: Settings) -> None:
    shown = [repr(nowhere), str(nowhere), nowhere.model_dump_json(), repr(nowhere.model_dump())]
    assert leaks_in("\n".join(shown)) == []
    assert nowhere.require_url("mongodb_url") == NOWHERE["mongodb_url"]


def test_status_says_where_everything_is_and_nothing_more(
    nowhere: Settings, said: pytest.LogCaptureFixture
) -> None:
    found = read_status(nowhere, lambda: read_long_runs(nowhere))
    assert {name: server["url"] for name, server in found["servers"].items()} == {
        "mongodb": "mongodb://127.0.0.1:1/",
        "rabbitmq": "amqp://127.0.0.1:1/twin",
        "qdrant": "https://127.0.0.1:1",
    }
    assert dagster_url(nowhere) == "http://127.0.0.1:1"
    assert leaks_in(json.dumps(found) + said.text) == []


COMMANDS = ["status --json", "status", "check", "search anything", "dead-letters list"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_says_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str) -> None:
    _set_environment(monkeypatch, tmp_path)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code != 0
    error = result.exception
    assert isinstance(error, SystemExit | TwinError), error
    assert leaks_in(result.output + all_that_is_said(error)) == []


def test_a_run_that_fails_leaves_no_secret_in_dagsters_storage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    _set_environment(monkeypatch, tmp_path)
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        job = defs.resolve_job_def("verify_features")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not result.success
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert leaks_in(f"{run.tags} {run.run_config}") == []
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"cannot be reached" in kept  # the failure is there, with its causes
    assert leaks_in(kept.decode("utf-8", "replace") + said.text) == []


def _set_environment(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    monkeypatch.setenv("TWIN_STATE_DIR", str(state))
    for name, value in NOWHERE.items():
        monkeypatch.setenv(f"TWIN_{name.upper()}", value)
