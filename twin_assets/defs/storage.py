"""What Dagster's storage raises where it does not answer: a run goes on without it for a while."""

from __future__ import annotations

import sys

from sqlalchemy.exc import SQLAlchemyError


def storage_errors() -> tuple[type[Exception], ...]:
    """Return what to catch around each call of the storage.

    PostgreSQL's has an error of its own, once it has tried to connect for some ten seconds. Its module takes
    longer to import than all else here, and is there wherever that error can be raised.
    """
    postgres = sys.modules.get("dagster_postgres.utils")
    return (SQLAlchemyError, OSError, *([postgres.DagsterPostgresException] if postgres else []))


def reason_of(error: Exception) -> str:
    """Return in one line why the storage does not answer."""
    return str(error.__cause__ or error).partition("\n")[0]
