"""Print what pyproject.toml depends on, so that a change of code does not install 2 GB anew."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
faster = project["optional-dependencies"]["openvino"]
sys.stdout.write("\n".join([*project["dependencies"], *faster]) + "\n")
