"""The door from Dagster to the servers: settings come from the environment alone, as everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster import ConfigurableResource

from twin_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from twin_assets.operations.twin import Twin


class TwinResource(ConfigurableResource["TwinResource"]):
    """Settings and servers. Has no fields: an operator sets TWIN_* once, for Dagster and the command line."""

    def settings(self) -> Settings:
        """Read the settings, the running local stack's URLs included. Raises ConfigurationError."""
        return load_settings()

    @contextmanager
    def open(self, settings: Settings | None = None) -> Iterator["Twin"]:
        """Open the servers' clients; close them at the end."""
        from twin_assets.operations.twin import open_twin

        with open_twin(settings or self.settings()) as twin:
            yield twin
