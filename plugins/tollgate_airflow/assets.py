"""The assets that tie the DAGs together. Events of all but landing carry a partition key."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher

from tollgate_airflow.triggers import LandingTrigger

LANDING = Asset("landing", watchers=[AssetWatcher(name="new_files", trigger=LandingTrigger())])
APPLICATIONS = Asset("applications")  # "BOOK|YYYY-MM"
DECISIONS = Asset("decisions")        # "BOOK|YYYY-MM"
OUTCOMES = Asset("outcomes")          # "BOOK|YYYY-MM": of every table that the book's target reads
HISTORIES = Asset("histories")        # "BOOK|YYYY-MM": of every other table
SCORES = Asset("scores")              # "BOOK|YYYY-MM-DD"
