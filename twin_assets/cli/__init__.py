"""The command `twin`: each opens what it needs, says what it did, and ends with a named exit code."""

from twin_assets.cli.app import main

__all__ = ["main"]
