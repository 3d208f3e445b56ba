from __future__ import annotations

import pytest
from infrastructure.config import ConfigError

from tests.conftest import declare


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
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(name: str, value: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        declare(**{name: value})
    assert str(caught.value).startswith(f"{name} is ")
    assert complaint in str(caught.value)
    assert f"pulumi config set {name}" in str(caught.value)
