"""What a file is expected to be like, by the months before its own; every surprise is a finding."""

from tollgate.ingest.expectations.expect import Finding
from tollgate.ingest.expectations.observation import Observation
from tollgate.ingest.expectations.restatement import raise_restated, restated
from tollgate.ingest.expectations.surprise import observe, refusal, surprises
from tollgate.ingest.expectations.warnings import note, noted

__all__ = ["Finding", "Observation", "note", "noted", "observe", "raise_restated", "refusal", "restated", "surprises"]
