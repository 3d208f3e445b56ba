"""What may go wrong in a build without Docker."""

from __future__ import annotations


class ImageError(Exception):
    """Raised when the tree cannot be built or run; the message is one line that says what to do."""
