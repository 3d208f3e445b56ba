"""Making the source ready, as its administrator."""

from __future__ import annotations

from twin_assets.errors import ConfigurationError
from twin_assets.settings import Settings
from twin_assets.source.client import connect
from twin_assets.source.preparation import enable_changes, login_of, make_user


def prepare_source(settings: Settings, *, may_write: bool) -> str:
    """Make the user of TWIN_MONGODB_URL and switch change streams on; return what was done. Idempotent.

    Raises ConfigurationError where TWIN_MONGODB_ADMIN_URL is missing, SourceUnavailable where nobody answers.
    """
    if settings.mongodb_admin_url is None:
        raise ConfigurationError("TWIN_MONGODB_ADMIN_URL is not set: the URL of a user who may make users")
    login = login_of(settings.require_url("mongodb_url"))
    documents, records = settings.mongodb_database, settings.meta_database
    url = settings.mongodb_admin_url.get_secret_value()
    try:
        with connect(url, dialect=settings.mongodb_dialect) as admin:
            # Whoever can log in has to find changes that are recorded.
            is_switched_on = enable_changes(admin, documents)
            make_user(admin, login, database=documents, meta_database=records, may_write=may_write)
    except ConfigurationError as error:
        # The door to MongoDB knows one URL, and this is the other.
        raise ConfigurationError(str(error).replace("TWIN_MONGODB_URL", "TWIN_MONGODB_ADMIN_URL")) from error
    right = "read and write" if may_write else "read"
    done = f"{login.user} may {right} {documents}, and read and write {records}"
    return f"{done}; changes of {documents} are recorded" if is_switched_on else done
