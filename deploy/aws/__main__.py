"""twin_assets on AWS Fargate; docs/aws.md says how it is used."""

import sys

import pulumi
from infrastructure.config import read_config
from infrastructure.system import make_system
from infrastructure.values import ConfigError

try:
    outputs = make_system(read_config(pulumi.Config()))
except ConfigError as error:
    sys.exit(f"error: {error}")
for name, value in outputs.items():
    pulumi.export(name, value)
