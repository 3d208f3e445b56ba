"""Print what pyproject.toml depends on, so that a change of code does not install 2 GB anew."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [
    each for name in ("openvino", "onnx", "traces", "aws") for each in project["optional-dependencies"][name]
]
sys.stdout.write("\n".join([*project["dependencies"], *extras]) + "\n")
