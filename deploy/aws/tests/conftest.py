"""The whole program against mocks: nothing is asked of any cloud, every resource is seen as declared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from infrastructure.config import read_config
from infrastructure.system import make_system

PROJECT = "twin-assets"
MONGODB_URL = "mongodb+srv://reader:mongo-secret@cluster.example.org/"
QDRANT_KEY = "qdrant-secret"
PASSWORD = "random-secret"
VALUES = {
    "hostName": "twin.example.org",
    "certificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0000-1111",
    "adminEmail": "operator@example.org",
    "qdrantUrl": "https://qdrant.example.org:6333",
    "imageTag": "0123456789abcdef0123456789abcdef01234567",
    "githubRepository": "example/twin_assets",
    "mongodbUrl": MONGODB_URL,
    "qdrantApiKey": QDRANT_KEY,
}


class Declared:
    """One resource: its type without the package, its name, and the inputs in the provider's spelling."""

    def __init__(self, arguments: pulumi.runtime.MockResourceArgs) -> None:
        self.type = arguments.typ.split(":", 1)[1]
        self.name = arguments.name
        self.inputs: dict[str, Any] = arguments.inputs

    def __getitem__(self, key: str) -> Any:
        return self.inputs[key]

    def document(self, key: str = "policy") -> list[dict[str, Any]]:
        """Return the statements of a policy in one of the inputs."""
        statements: list[dict[str, Any]] = json.loads(self.inputs[key])["Statement"]
        return statements


class Cloud(pulumi.runtime.Mocks):
    """Answers as AWS would, with ids made of names, and remembers what was declared."""

    def __init__(self) -> None:
        self.declared: list[Declared] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        found = Declared(args)
        self.declared.append(found)
        named = {"arn": f"arn:aws:mock:::{found.type}/{args.name}", "name": args.name}
        outputs = named | dict(args.inputs)
        if found.type.startswith("mq/broker"):
            outputs["instances"] = [{"endpoints": ["amqps://b-1.mq.example.org:5671"]}]
        if found.type.startswith("index/randomPassword"):
            outputs["result"] = PASSWORD
        if found.type.startswith("ecr/repository:"):
            outputs["repositoryUrl"] = "123456789012.dkr.example.org/twin-assets"
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        answers = {
            "getAvailabilityZones": {"names": ["eu-central-1a", "eu-central-1b"]},
            "getRegion": {"region": "eu-central-1", "name": "eu-central-1"},
            "getCallerIdentity": {"accountId": "123456789012"},
        }
        return answers[args.token.rsplit(":", 1)[1]]


def opened(secret: Any) -> str:
    """Return the value of an input that is marked secret, which pulumi's state then encrypts."""
    assert isinstance(secret, dict), "not marked secret"
    value: str = secret["value"]
    return value


class Declarations:
    """What a program has declared."""

    def __init__(self, declared: list[Declared]) -> None:
        self.all = declared

    def of(self, kind: str) -> list[Declared]:
        """Return the resources of a type, such as `rds/instance`; there must be some."""
        found = [each for each in self.all if each.type.split(":")[0] == kind]
        assert found, f"no {kind} among {sorted({each.type for each in self.all})}"
        return found

    def one(self, kind: str, name: str) -> Declared:
        """Return one resource by type and name."""
        [found] = [each for each in self.of(kind) if each.name == name]
        return found

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return the container of each task definition, by name."""
        found = [json.loads(each["containerDefinitions"])[0] for each in self.of("ecs/taskDefinition")]
        return {container["name"]: container for container in found}


def declare(**overrides: str) -> Declarations:
    """Run the whole program with a stack's values."""
    cloud = Cloud()
    pulumi.runtime.set_mocks(cloud, project=PROJECT, stack="test", preview=False)
    values = VALUES | overrides
    pulumi.runtime.set_all_config({f"{PROJECT}:{name}": value for name, value in values.items() if value})

    @pulumi.runtime.test
    def run() -> None:
        make_system(read_config(pulumi.Config(PROJECT)))

    run()
    return Declarations(cloud.declared)


@pytest.fixture(scope="session")
def small() -> Declarations:
    return declare()


@pytest.fixture(scope="session")
def medium(small: Declarations) -> Declarations:
    return declare(size="medium", streamReplicas="4")
