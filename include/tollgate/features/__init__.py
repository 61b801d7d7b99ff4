"""From applications and their histories to a score: the one transformation library, and the model with what it learned.

Training, batch scoring and a single row all go through it.
"""

from tollgate.features.aggregates import Histories, aggregate, seen
from tollgate.features.calibrate import Calibration, unweighted
from tollgate.features.encode import Encoder
from tollgate.features.golden import check_golden, golden_differences, golden_inputs, write_golden
from tollgate.features.histories import arrivals, arrived, histories_of, history, standing_at, with_histories
from tollgate.features.make import check_made, check_sizes, fits_32_bits, make_features
from tollgate.features.model import BASELINE, GATED, SPEC, Model, artefact_of, digest_of, gated_fit
from tollgate.features.table_file import TableFile

__all__ = ["BASELINE", "GATED", "SPEC", "Calibration", "Encoder", "Histories", "Model", "TableFile", "aggregate",
           "arrivals", "arrived", "artefact_of", "check_golden", "check_made", "check_sizes", "digest_of",
           "fits_32_bits", "gated_fit", "golden_differences", "golden_inputs", "histories_of", "history",
           "make_features", "seen", "standing_at", "unweighted", "with_histories", "write_golden"]
