"""The topology of docker-compose.yml as processes of this machine, where there is no container engine."""

from tollgate.cluster.control import enter, start, status, stop, switch

__all__ = ["enter", "start", "status", "stop", "switch"]
