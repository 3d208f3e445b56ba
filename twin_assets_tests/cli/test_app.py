"""The command line as a person meets it: help, exit codes, one line for each mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from twin_assets.cli.app import app, main
from twin_assets.cli.exit_codes import ExitCode

COMMANDS = ["up", "down", "dev", "demo", "ingest", "status", "check", "rebuild", "search", "dead-letters"]
COMMANDS += ["repair", "erase", "backup", "prepare-source", "capture", "stream"]


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Servers that nobody runs."""
    monkeypatch.setenv("TWIN_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TWIN_MONGODB_URL", "mongodb://127.0.0.1:1/?replicaSet=rs0")
    monkeypatch.setenv("TWIN_RABBITMQ_URL", "amqp://user:secret-word@127.0.0.1:1/")
    monkeypatch.setenv("TWIN_QDRANT_URL", "http://127.0.0.1:1")


def run_main(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["twin", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


def test_help_names_every_command():
    help_text = CliRunner().invoke(app, ["--help"]).stdout
    assert [name for name in COMMANDS if name not in help_text] == []


def test_a_wrong_setting_is_one_line_and_wrong_usage(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TWIN_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TWIN_PROFILE", "huge")
    monkeypatch.setenv("TWIN_QDRANT_URL", "localhost:6333")
    code, error = run_main(monkeypatch, capsys, "status")
    assert code == ExitCode.WRONG_USAGE
    assert len(error.strip().splitlines()) == 1
    assert "TWIN_PROFILE" in error
    assert "TWIN_QDRANT_URL: must start with http:// or https://" in error


def test_without_any_server_it_says_how_to_get_one(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TWIN_STATE_DIR", str(tmp_path))
    code, error = run_main(monkeypatch, capsys, "check")
    assert code == ExitCode.WRONG_USAGE
    assert "twin up" in error


def test_a_server_that_is_down_is_one_line_and_its_own_code(monkeypatch, capsys, nowhere):
    code, error = run_main(monkeypatch, capsys, "dead-letters", "list")
    assert code == ExitCode.SERVER_UNREACHABLE
    assert "RabbitMQ" in error
    assert "secret-word" not in error
    assert "Traceback" not in error


def test_a_refused_connection_is_called_that(monkeypatch, capsys, nowhere):
    code, error = run_main(monkeypatch, capsys, "search", "anything")
    assert code == ExitCode.SERVER_UNREACHABLE
    assert "Qdrant at http://127.0.0.1:1 cannot be reached" in error
    assert "Connection refused" in error


def test_status_names_the_servers_that_are_down(nowhere):
    result = CliRunner().invoke(app, ["status", "--json"])
    assert result.exit_code == ExitCode.SERVER_UNREACHABLE
    found = json.loads(result.stdout)
    assert {name: server["up"] for name, server in found["servers"].items()} == {
        "mongodb": False,
        "rabbitmq": False,
        "qdrant": False,
    }
    assert "secret-word" not in result.stdout
    assert set(found["runs"]) == {"capture_changes", "stream_features"}


def test_replay_wants_to_know_which(monkeypatch, capsys, nowhere):
    code, error = run_main(monkeypatch, capsys, "dead-letters", "replay")
    assert code == ExitCode.WRONG_USAGE
    assert "--all" in error


@pytest.mark.servers
def test_replaying_a_number_that_is_not_there_is_wrong_usage(
    monkeypatch, capsys, tmp_path, mongodb_url, rabbitmq_url, qdrant_url
):
    monkeypatch.setenv("TWIN_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TWIN_MONGODB_URL", mongodb_url)
    monkeypatch.setenv("TWIN_RABBITMQ_URL", rabbitmq_url)
    monkeypatch.setenv("TWIN_QDRANT_URL", qdrant_url)
    code, error = run_main(monkeypatch, capsys, "dead-letters", "replay", "9")
    assert code == ExitCode.WRONG_USAGE
    assert "twin dead-letters list" in error


def test_help_does_not_load_what_takes_seconds():
    heavy = [
        "torch",
        "dagster",
        "sentence_transformers",
        "qdrant_client",
        "pymongo",
        "aio_pika",
        "bytewax",
        "pydantic",
    ]
    code = f"import sys, twin_assets.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
