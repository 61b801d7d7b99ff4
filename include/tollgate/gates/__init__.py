"""Gates: what a challenger must pass before anyone is asked to approve it. They fail closed."""

from tollgate.gates.base import Verdict
from tollgate.gates.limits import suggested_limits
from tollgate.gates.looks import earlier_looks, window_of
from tollgate.gates.page import check_report, write_report
from tollgate.gates.refit import all_pass, judge_refit, judge_younger, judged_rows, refit_record
from tollgate.gates.report import Report, cells
from tollgate.gates.run import GATES, run_gates

__all__ = ["GATES", "Report", "Verdict", "all_pass", "cells", "check_report", "earlier_looks", "judge_refit",
           "judge_younger", "judged_rows", "refit_record", "run_gates", "suggested_limits", "window_of", "write_report"]
