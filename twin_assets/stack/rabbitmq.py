"""RabbitMQ and the port mapper it needs: how each is launched, and how each shows that it is ready."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path

from twin_assets.errors import StackError
from twin_assets.stack.binaries import find_epmd, find_rabbitmq
from twin_assets.stack.ports import LOOPBACK
from twin_assets.stack.probes import answers_amqp, answers_epmd
from twin_assets.stack.process import Launch
from twin_assets.stack.server import Server, plain_environment

NODE = "twin@localhost"
CONFIG = """\
# A consumer may hold messages for a day: embedding a long document must not cost its channel.
consumer_timeout = 86400000
load_definitions = {definitions}
"""
# RABBITMQ_NODE_IP_ADDRESS is about AMQP alone: Erlang's own port would be open to the network.
DISTRIBUTION_ON_LOOPBACK = f"-kernel inet_dist_use_interface {{{LOOPBACK.replace('.', ',')}}}"


class EpmdServer(Server):
    """Erlang's port mapper, one per stack, so that two stacks may both call their node twin@localhost."""

    name = "epmd"

    def __init__(self, state: Path, *, port: int) -> None:
        super().__init__(state, {"TWIN_LOCAL_EPMD_PORT": port})

    @property
    def url(self) -> str:
        return f"epmd://{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        return answers_epmd(self.port)

    def launch(self) -> Launch:
        command = [str(find_epmd()), "-address", LOOPBACK, "-port", str(self.port)]
        return Launch(command, plain_environment() | {"ERL_EPMD_RELAXED_COMMAND_CHECK": "true"})


class RabbitServer(Server):
    """RabbitMQ with the user guest and the virtual hosts it is given, so that tests need not share one."""

    name = "rabbitmq"
    epilogue = "Crash dump is being written"
    start_timeout_s = 180.0  # a quarter of a minute alone, several times that where others start as well

    def __init__(
        self, state: Path, *, port: int, dist_port: int, epmd_port: int, vhosts: Collection[str] = ("/",)
    ) -> None:
        super().__init__(
            state, {"TWIN_LOCAL_RABBITMQ_PORT": port, "TWIN_LOCAL_RABBITMQ_DIST_PORT": dist_port}
        )
        self._epmd_port = epmd_port
        self._vhosts = vhosts

    @property
    def url(self) -> str:
        return self.url_of("/")

    def url_of(self, vhost: str) -> str:
        """Return the URL of one virtual host."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/{vhost.replace('/', '%2F')}"

    def is_ready(self) -> bool:
        return answers_amqp(self.port)

    def launch(self) -> Launch:
        port, dist_port = self.ports.values()
        definitions = self._write("definitions.json", json.dumps(definitions_of(self._vhosts)))
        environment = {
            # Without it a shell stays in between, and the pid would not be the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": DISTRIBUTION_ON_LOOPBACK,
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "rabbitmq.pid"),
            "RABBITMQ_CONFIG_FILE": self._write("rabbitmq.conf", CONFIG.format(definitions=definitions)),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._write("enabled_plugins", "[].\n"),
        }
        return Launch([str(find_rabbitmq())], plain_environment() | environment)

    def add_vhosts(self, vhosts: Collection[str]) -> None:
        """Create virtual hosts in the running broker: seconds for the call, milliseconds for each."""
        definitions = self._write("more_definitions.json", json.dumps(definitions_of(vhosts)))
        control = find_rabbitmq().with_name("rabbitmqctl")
        environment = plain_environment() | {"HOME": str(self.folder), "ERL_EPMD_PORT": str(self._epmd_port)}
        command = [str(control), "--node", NODE, "import_definitions", definitions]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(
                f"rabbitmqctl could not add virtual hosts: {(done.stderr or done.stdout).strip()}"
            )

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


def definitions_of(vhosts: Collection[str]) -> dict[str, list[dict[str, object]]]:
    """Return RabbitMQ's own definitions: guest may do everything in every virtual host."""
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [{"name": "guest", "password": "guest", "tags": ["administrator"]}],
        "vhosts": [{"name": vhost} for vhost in vhosts],
        "permissions": [{"user": "guest", "vhost": vhost, **everything} for vhost in vhosts],
    }
