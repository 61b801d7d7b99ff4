"""DVC workspaces: one folder a training run, its stages run one at a time, what they made pushed to the remote."""

from tollgate.versioning.erasing import erase_from_runs
from tollgate.versioning.project import failure_of, write_failure
from tollgate.versioning.workspace import open_workspace, restore, run_stage, tidy_workspaces

__all__ = ["erase_from_runs", "failure_of", "open_workspace", "restore", "run_stage", "tidy_workspaces",
           "write_failure"]
