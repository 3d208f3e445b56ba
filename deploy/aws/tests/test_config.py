from __future__ import annotations

from pathlib import Path

import pytest
from infrastructure.values import ConfigError

from tests.conftest import AUTHORITIES, SELF_HOSTED, declare


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("hostName", "localhost", "set it to a DNS name, such as twin.example.org"),
        ("certificateArn", "arn:aws:iam::1:x", "set it to the ARN of a certificate in ACM"),
        ("adminEmail", "nobody", "set it to an e-mail address"),
        ("qdrantUrl", "http://qdrant.example.org", "set it to https://"),
        ("qdrantUrl", "https://user:word@qdrant.example.org", "without a password"),
        ("imageTag", "latest", "the commit that was pushed"),
        ("githubRepository", "twin_assets", "set it to owner/name"),
        ("size", "huge", "set it to one of small, medium, large"),
        ("streamReplicas", "9", "set it to 1 … 8"),
        ("streamReplicas", "0", "set it to 1 … 8"),
        ("streamReplicasMax", "9", "set it to 0 … 8"),
        ("logDays", "0", "set it to 1 … 3653"),
        ("mongodb", "atlas", "set it to one of url, documentdb"),
        ("qdrant", "cloud", "set it to one of url, ecs"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(name: str, value: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declare(**{name: value})
    assert str(caught.value).startswith(f"{name} is ")
    assert complaint in str(caught.value)
    assert f"pulumi config set {name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "because"),
    [
        ("documentdbCaFile", "tests/ca.pem", "mongodb is url"),
        ("qdrantStorage", "100", "qdrant is url"),
        ("qdrantHostImage", "ami-0123456789abcdef0", "qdrant is url"),
        ("qdrantSnapshot", "snap-0123456789abcdef0", "qdrant is url"),
    ],
)
def test_a_value_that_servers_elsewhere_do_not_need_is_refused(name: str, value: str, because: str) -> None:
    assert _complaint(**{name: value}) == (
        f"{name} is set, but {because}; take it out: pulumi config rm {name}"
    )


@pytest.mark.parametrize(
    ("name", "value", "because"),
    [
        ("mongodbUrl", "mongodb://h", "mongodb is documentdb, whose URL the program makes"),
        ("qdrantUrl", "https://h", "qdrant is ecs, where the program makes them"),
        ("qdrantApiKey", "k", "qdrant is ecs, where the program makes them"),
    ],
)
def test_a_value_that_the_program_makes_is_refused(name: str, value: str, because: str) -> None:
    assert _complaint(**SELF_HOSTED | {name: value}) == (
        f"{name} is set, but {because}; take it out: pulumi config rm {name}"
    )


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("qdrantStorage", "9", "set it to 10 … 16384"),
        ("qdrantStorage", "16385", "set it to 10 … 16384"),
        ("qdrantHostImage", "amazon-linux", "set it to the id of an AMI"),
        ("qdrantSnapshot", "vol-0123456789abcdef0", "set it to the id of a snapshot"),
    ],
)
def test_a_wrong_value_for_qdrant_on_ecs_is_named(name: str, value: str, complaint: str) -> None:
    found = _complaint(**SELF_HOSTED | {name: value})
    assert found.startswith(f"{name} is ")
    assert complaint in found


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read (FileNotFoundError)"),
        ("", "no certificates in PEM"),
        ("<Error><Code>NoSuchKey</Code></Error>", "no certificates in PEM"),
        (AUTHORITIES[:-200], "no certificates in PEM"),
        ("é", "cannot be read (UnicodeDecodeError)"),
        (AUTHORITIES * 60, "too large for a task definition: take your region's bundle, not all"),
        (AUTHORITIES + "-----BEGIN PRIVATE KEY-----", "holds a private key"),
    ],
)
def test_a_file_that_is_not_the_regions_certificates_is_refused(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    found = _complaint(**SELF_HOSTED | {"documentdbCaFile": str(path)})
    assert found.startswith("documentdbCaFile is ")
    assert complaint in found
    assert "https://truststore.pki.rds.amazonaws.com/<region>/<region>-bundle.pem" in found


def test_documentdb_without_certificates_says_where_they_are() -> None:
    found = _complaint(**SELF_HOSTED | {"documentdbCaFile": ""})
    assert found.startswith("documentdbCaFile is not set; download https://truststore.pki.rds.amazonaws.com/")


def _complaint(**values: str) -> str:
    with pytest.raises(ConfigError) as caught:
        declare(**values)
    assert "\n" not in str(caught.value)
    return str(caught.value)
