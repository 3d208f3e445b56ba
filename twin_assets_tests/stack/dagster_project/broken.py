"""A code location that cannot be loaded."""

raise RuntimeError("the definitions are broken on purpose")
