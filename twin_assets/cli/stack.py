"""Commands for the local stack."""

from __future__ import annotations

from twin_assets.cli.console import say, say_table


def up() -> None:
    """Start MongoDB, RabbitMQ and Qdrant on this machine, and leave them running."""
    from twin_assets.settings import load_settings
    from twin_assets.stack.stack import LocalStack

    say_servers(LocalStack(load_settings(), report=say).up())
    say("stop them with `twin down`")


def down() -> None:
    """Stop everything that `twin up` or `twin dev` has started; the data stays under .twin/."""
    from twin_assets.settings import load_settings
    from twin_assets.stack.stack import LocalStack

    LocalStack(load_settings(), report=say).down()
    say("stopped; the data stays in place")


def dev() -> None:
    """Start the servers and Dagster (sensors keep capture and stream alive), until Ctrl-C."""
    from twin_assets.settings import load_settings
    from twin_assets.stack.stack import LocalStack

    stack = LocalStack(load_settings(), report=say)
    say_servers(stack.dev())
    say("Ctrl-C stops everything")
    stack.hold()


def say_servers(servers: list) -> None:  # type: ignore[type-arg] # ServerStatus is imported lazily
    """Print where each server is."""
    from twin_assets.settings import without_credentials

    rows = [
        [
            server.name,
            without_credentials(server.url or "") if server.is_local else "as its TWIN_*_URL says",
            server.is_ready,
        ]
        for server in servers
    ]
    say_table(["server", "url", "ready"], rows)
