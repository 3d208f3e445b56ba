"""Lets `python -m twin_assets` do what `twin` does."""

from twin_assets.cli import main

main()
