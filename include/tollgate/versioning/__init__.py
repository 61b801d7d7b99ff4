"""DVC workspaces: one folder a training run, its stages run one at a time, what they made pushed to the remote."""

from tollgate.versioning.workspace import failure_of, open_workspace, restore, run_stage, write_failure

__all__ = ["failure_of", "open_workspace", "restore", "run_stage", "write_failure"]
