from __future__ import annotations

import asyncio
import threading

import pytest

from twin_assets.broker.connection import close_connection, open_connection, parse_url, redact
from twin_assets.broker.depth import queue_depths
from twin_assets.broker.io_thread import IoThread
from twin_assets.errors import BrokerUnavailable, ConfigurationError
from twin_assets_tests.broker.builders import await_thread_end

SECRET = "s3cret-w0rd"


def url_with(url: str, **parts: str) -> str:
    parsed = parse_url(url)
    return str(
        parsed.with_user("guest").with_password(parts.get("password", "guest")).with_path(parts["vhost"])
    )


def test_a_url_is_shown_without_its_credentials_and_options() -> None:
    url = parse_url(f"amqps://user:{SECRET}@broker.example/twin?cafile=/x&key={SECRET}")
    assert redact(url) == "amqps://broker.example:5671/twin"


def test_the_heartbeat_of_the_url_wins_over_ours() -> None:
    assert parse_url("amqp://h/").query["heartbeat"] == "20"
    assert parse_url("amqp://h/?heartbeat=3").query["heartbeat"] == "3"


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "http://h/", "amqp://", "amqp:///x", f"amqp://u:{SECRET}@h:port/", "amqp://[::1/"],
)
def test_a_url_of_another_form_is_a_wrong_setting_that_is_not_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TWIN_RABBITMQ_URL") as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)


def test_a_broker_that_is_down_is_named_without_credentials() -> None:
    with pytest.raises(BrokerUnavailable, match=r"amqp://127\.0\.0\.1:1/") as caught:
        queue_depths(f"amqp://guest:{SECRET}@127.0.0.1:1/", 2)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)


def test_a_missing_certificate_file_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="certificate file"):
        queue_depths("amqps://guest:guest@127.0.0.1:1/?cafile=/nowhere/ca.pem", 2)


@pytest.mark.servers
def test_a_refused_login_is_a_wrong_setting(rabbitmq_url: str) -> None:
    with pytest.raises(ConfigurationError, match="refuses the login") as caught:
        queue_depths(str(parse_url(rabbitmq_url).with_password(SECRET)), 2)
    assert SECRET not in str(caught.value)


@pytest.mark.servers
def test_a_missing_virtual_host_is_a_wrong_setting(rabbitmq_url: str) -> None:
    with pytest.raises(ConfigurationError, match="virtual host"):
        queue_depths(str(parse_url(rabbitmq_url).with_path("/nobody-made-this")), 2)


@pytest.mark.servers
def test_tls_against_a_port_without_it_is_unavailable_not_a_hang(rabbitmq_url: str) -> None:
    with pytest.raises(BrokerUnavailable, match="SSL"):
        queue_depths(str(parse_url(rabbitmq_url).with_scheme("amqps")), 2)


@pytest.mark.servers
def test_a_connection_shows_its_name_and_closes_twice_without_a_word(rabbitmq_url: str) -> None:
    async def work() -> None:
        connection = await open_connection(parse_url(rabbitmq_url), name="test")
        await close_connection(connection)
        await close_connection(connection)

    asyncio.run(work())


def test_the_thread_returns_results_and_raises_errors() -> None:
    async def fail() -> None:
        raise KeyError("x")

    io = IoThread("test io", where="here")
    assert io.run(asyncio.sleep(0, result=7), timeout_s=5) == 7
    with pytest.raises(KeyError):
        io.run(fail(), timeout_s=5)
    io.close()


def test_the_thread_bounds_what_never_ends() -> None:
    io = IoThread("test io", where="here")
    with pytest.raises(BrokerUnavailable, match=r"here .*no answer within 0\.05 s"):
        io.run(asyncio.Event().wait(), timeout_s=0.05)
    io.close()


def test_closing_the_thread_ends_what_still_runs_and_the_thread() -> None:
    io = IoThread("test io", where="here")
    started = threading.Event()
    outcome: list[BaseException] = []

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            io.run(hang(), timeout_s=30)
        except BrokerUnavailable as error:
            outcome.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert started.wait(5)
    io.close()
    caller.join(5)
    assert "closed meanwhile" in str(outcome[0])
    await_thread_end("test io")
    io.close()


def test_a_closed_thread_refuses_work_and_ignores_posts() -> None:
    io = IoThread("test io", where="here")
    io.close()
    with pytest.raises(BrokerUnavailable, match="is closed"):
        io.run(asyncio.sleep(0), timeout_s=1)
    io.post(pytest.fail)
