"""A setting that a complaint might quote is refused where it is read, without its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin_assets.errors import ConfigurationError
from twin_assets.settings import load_settings, without_credentials
from twin_assets_tests.security.saying import NOWHERE, URLS, all_that_is_said, leaks_in
from twin_assets_tests.security.servers import QUOTED_PASSWORD


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "rest",
    [
        "user:s3cret/w0rd@host:1/db",  # each of these would be taken for an end of the password
        "user:s3cret?w0rd@host:1/db",
        "user:s3cret#w0rd@host:1/db",
        "user:p@host/s3cret@w0rd",
        "user:s3cret",
        "user:s3cret@host:w0rd",
        "user:s3cret@[::w0rd",
        "user:s3cret@host:1/\n",
        "user:s3cret w0rd@host:1",
    ],
)
def test_a_url_of_which_nobody_can_say_where_the_password_ends_is_refused_unquoted(
    tmp_path: Path, name: str, rest: str
) -> None:
    url = f"{NOWHERE[name].partition('://')[0]}://{rest}"
    with pytest.raises(ConfigurationError, match=f"TWIN_{name.upper()}: must be of the form") as caught:
        load_settings(state_dir=tmp_path, _env_file=None, **{name: url})
    assert leaks_in(all_that_is_said(caught.value)) == []
    assert leaks_in(without_credentials(url)) == []


@pytest.mark.parametrize("name", URLS)
def test_a_url_with_another_scheme_is_refused_unquoted(tmp_path: Path, name: str) -> None:
    url = f"ftp://user:{QUOTED_PASSWORD}@host"
    with pytest.raises(ConfigurationError, match="must start with") as caught:
        load_settings(state_dir=tmp_path, _env_file=None, **{name: url})
    assert leaks_in(all_that_is_said(caught.value)) == []


@pytest.mark.parametrize("key", ["k3y\n", "k3y k3y", "k3yé", "\tk3y"])
def test_a_key_that_no_header_can_carry_is_refused_unquoted(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="TWIN_QDRANT_API_KEY: must be printable") as caught:
        load_settings(state_dir=tmp_path, _env_file=None, qdrant_api_key=key)
    assert leaks_in(all_that_is_said(caught.value)) == []
