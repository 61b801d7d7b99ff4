"""What is wrong with a deployment: one small check after the other, each finding with its remedy."""

from tollgate.doctor.examination import CHECKS, examine, exit_code

__all__ = ["CHECKS", "examine", "exit_code"]
