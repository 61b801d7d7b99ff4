"""Ends with 0 when a part of Airflow is alive: dag_processor or triggerer, of which Airflow tells, or worker, who is
asked itself.

Airflow's and Celery's own commands for it load all of Airflow, which takes seconds of a core each time.
"""

import json
import os
import sys
import urllib.request

part = sys.argv[1]
if part == "worker":
    from celery import Celery

    me = f"celery@{os.environ['HOSTNAME']}"
    app = Celery(broker=f"redis://:{os.environ['REDIS_PASSWORD']}@redis:6379/0")
    sys.exit(not app.control.ping([me], timeout=10))
with urllib.request.urlopen("http://api-server:8080/api/v2/monitor/health", timeout=10) as answer:
    sys.exit(json.load(answer)[part]["status"] != "healthy")
