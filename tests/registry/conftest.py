"""The shared small world of the registry's and the scoring room's tests."""

from registry.world import made, world

__all__ = ["made", "world"]
