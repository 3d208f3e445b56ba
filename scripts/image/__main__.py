"""Build the Dockerfile's stages as plain folders, without a container engine, and say how large they are."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from scripts.image.build import build_image
from scripts.image.errors import ImageError
from scripts.image.isolation import isolated
from scripts.image.record import Image

ROOT = Path(__file__).parents[2]
MB = 1_000_000


def main() -> int:
    options = _parser().parse_args()
    try:
        require_machine()
        return int(options.do(options))
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def require_machine() -> None:
    """Raises ImageError where namespaces and mounts are not to be had."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or os.geteuid() != 0:
        raise ImageError("the image's tree is built and run as root on Linux x86_64")


def build(options: argparse.Namespace) -> int:
    given = dict(text.partition("=")[::2] for text in options.build_arg)
    image = build_image(options.folder, ROOT, given)
    total = sum(layer.bytes for layer in image.layers)
    print(f"image: {len(image.layers)} layers, {total / MB:.0f} MB, in {options.folder}")
    return 0


def size(options: argparse.Namespace) -> int:
    try:
        image = Image.load(options.folder).measured()
    except FileNotFoundError:
        raise ImageError(f"no image in {options.folder}: build it first") from None
    image.save()
    rows = [(layer.bytes, layer.compressed_bytes or 0, layer.made_by) for layer in image.layers]
    whole, compressed = sum(row[0] for row in rows), sum(row[1] for row in rows)
    print(f"{'MB':>7} {'gzip MB':>8}  layer")
    for row in (*rows, (whole, compressed, "together")):
        print(f"{row[0] / MB:7.1f} {row[1] / MB:8.1f}  {row[2][:80]}")
    return 0


def isolate(options: argparse.Namespace) -> int:
    return isolated(ROOT / "docker-compose.yaml", options.command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=__doc__)
    commands = parser.add_subparsers(required=True)
    building = commands.add_parser("build", help="build it, where something has changed")
    building.add_argument("folder", type=Path)
    building.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    building.set_defaults(do=build)
    sizing = commands.add_parser("size", help="measure and print the layers of what was built")
    sizing.add_argument("folder", type=Path)
    sizing.set_defaults(do=size)
    isolating = commands.add_parser("isolate", help="run a command in a network where compose's names answer")
    isolating.add_argument("command", nargs=argparse.REMAINDER)
    isolating.set_defaults(do=isolate)
    return parser


if __name__ == "__main__":
    sys.exit(main())
