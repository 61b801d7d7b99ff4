"""DVC workspaces: one folder a training run, its stages run one at a time, what they made pushed to the remote."""

from tollgate.versioning.project import failure_of, write_failure
from tollgate.versioning.workspace import open_workspace, restore, run_stage, tidy_workspaces

__all__ = ["failure_of", "open_workspace", "restore", "run_stage", "tidy_workspaces", "write_failure"]
