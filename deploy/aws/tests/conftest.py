"""The whole program against mocks: nothing is asked of any cloud, every resource is seen as declared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

sys.path.insert(0, str(Path(__file__).parents[1]))

from infrastructure.config import read_config
from infrastructure.system import make_system

PROJECT = "twin-assets"
MONGODB_URL = "mongodb+srv://reader:mongo-secret@cluster.example.org/"
QDRANT_KEY = "qdrant-secret"
TESTS = Path(__file__).parent
AUTHORITIES = (TESTS / "ca.pem").read_text()
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
SELF_HOSTED = {
    "mongodb": "documentdb",
    "documentdbCaFile": "tests/ca.pem",
    "qdrant": "ecs",
    # Neither belongs to these choices.
    **dict.fromkeys(("mongodbUrl", "qdrantUrl", "qdrantApiKey"), ""),
}


def password(name: str) -> str:
    """Return what is made as a password of this name."""
    return f"random-secret-{name}"


def private_key(name: str) -> str:
    """Return what is made as a key of TLS of this name."""
    return f"tls-secret-{name}"


class Declared:
    """One resource: its type without the package, its name, and the inputs in the provider's spelling."""

    def __init__(self, arguments: pulumi.runtime.MockResourceArgs, options: Any) -> None:
        self.type = arguments.typ.split(":", 1)[1]
        self.name = arguments.name
        self.inputs: dict[str, Any] = arguments.inputs
        self.options = options

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
        self.options: dict[tuple[str, str], Any] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        found = Declared(args, self.options[args.typ, args.name])
        self.declared.append(found)
        named = {"arn": f"arn:aws:mock:::{found.type}/{args.name}", "name": args.name}
        kind = found.type.split(":")[0]
        made = MADE.get(kind, lambda _: {})(args.name)
        identity = f"vol-{args.name}" if kind == "ebs/volume" else f"{args.name}-id"
        return identity, named | dict(args.inputs) | made

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        answers = {
            "getAvailabilityZones": {"names": ["eu-central-1a", "eu-central-1b"]},
            "getRegion": {"region": "eu-central-1", "name": "eu-central-1"},
            "getCallerIdentity": {"accountId": "123456789012"},
            "getParameter": {"insecureValue": f"the newest of {args.args.get('name')}"},
        }
        return answers[args.token.rsplit(":", 1)[1]]


# What servers and generators make up themselves.
MADE = {
    "mq/broker": lambda _: {"instances": [{"endpoints": ["amqps://b-1.mq.example.org:5671"]}]},
    "docdb/cluster": lambda _: {"endpoint": "docdb.example.org"},
    "ecr/repository": lambda _: {"repositoryUrl": "123456789012.dkr.example.org/twin-assets"},
    "index/randomPassword": lambda name: {"result": password(name)},
    "index/privateKey": lambda name: {
        "privateKeyPem": private_key(name),
        "privateKeyPemPkcs8": f"{private_key(name)} pkcs8",
    },
    "index/selfSignedCert": lambda name: {"certPem": f"the authority {name}"},
    "index/certRequest": lambda name: {"certRequestPem": f"a request for {name}"},
    "index/locallySignedCert": lambda name: {"certPem": f"the certificate {name}"},
}


class Monitor(MockMonitor):
    """Notes the options of resources, which pulumi's mocks are not told."""

    mocks: Cloud

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - pulumi's name
        self.mocks.options[request.type, request.name] = request
        return super().RegisterResource(request)


def opened(secret: Any) -> str:
    """Return the value of an input that is marked secret, which pulumi's state then encrypts."""
    assert isinstance(secret, dict), "not marked secret"
    value: str = secret["value"]
    return value


class Declarations:
    """What a program has declared."""

    def __init__(self, declared: list[Declared], outputs: dict[str, Any]) -> None:
        self.all = declared
        self.outputs = outputs

    def has(self, kind: str) -> bool:
        return any(each.type.split(":")[0] == kind for each in self.all)

    def of(self, kind: str) -> list[Declared]:
        """Return the resources of a type, such as `rds/instance`; there must be some."""
        found = [each for each in self.all if each.type.split(":")[0] == kind]
        assert found, f"no {kind} among {sorted({each.type for each in self.all})}"
        return found

    def one(self, kind: str, name: str) -> Declared:
        """Return one resource by type and name."""
        [found] = [each for each in self.of(kind) if each.name == name]
        return found

    def definitions(self) -> dict[str, list[dict[str, Any]]]:
        """Return the containers of each task definition, the one that does the work first, by its name."""
        return {each.name: json.loads(each["containerDefinitions"]) for each in self.of("ecs/taskDefinition")}

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return the container that does the work of each task definition, by name."""
        return {name: containers[0] for name, containers in self.definitions().items()}

    def environment(self, name: str) -> dict[str, str]:
        """Return the plain environment of a container, by its name."""
        return {each["name"]: each["value"] for each in self.containers()[name]["environment"]}

    def secrets(self) -> dict[str, Any]:
        """Return what is stored in Secrets Manager, by name."""
        return {each.name: opened(each["secretString"]) for each in self.of("secretsmanager/secretVersion")}


def declare(**overrides: str) -> Declarations:
    """Run the whole program with a stack's values; an empty one is not set."""
    cloud = Cloud()
    monitor = Monitor(cloud)
    pulumi.runtime.set_mocks(cloud, project=PROJECT, stack="test", preview=False, monitor=monitor)
    values = VALUES | overrides
    pulumi.runtime.set_all_config({f"{PROJECT}:{name}": value for name, value in values.items() if value})
    outputs: dict[str, Any] = {}

    @pulumi.runtime.test
    def run() -> pulumi.Output[None]:
        made = make_system(read_config(pulumi.Config(PROJECT)))
        return pulumi.Output.all(**made).apply(outputs.update)

    run()
    return Declarations(cloud.declared, outputs)


@pytest.fixture(scope="session")
def small() -> Declarations:
    """What a stack declares that reaches its MongoDB and Qdrant by URL."""
    return declare()


@pytest.fixture(scope="session")
def medium(small: Declarations) -> Declarations:
    return declare(size="medium", streamReplicas="4")


@pytest.fixture(scope="session")
def self_hosted(medium: Declarations) -> Declarations:
    """What a stack declares that runs DocumentDB and Qdrant itself."""
    return declare(**SELF_HOSTED)


@pytest.fixture(scope="session")
def self_hosted_medium(self_hosted: Declarations) -> Declarations:
    told = {"qdrantHostImage": "ami-0123456789abcdef0", "qdrantSnapshot": "snap-0123456789abcdef0"}
    return declare(**SELF_HOSTED, **told, size="medium", qdrantStorage="300")


@pytest.fixture(params=["small", "self_hosted"])
def declared(request: pytest.FixtureRequest) -> Declarations:
    """What every stack promises, whichever choices it has made."""
    found: Declarations = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def is_self_hosted(declared: Declarations, self_hosted: Declarations) -> bool:
    return declared is self_hosted
