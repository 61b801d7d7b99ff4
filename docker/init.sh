#!/bin/sh
# Before anything starts: the bucket and Airflow's tables. Running it again changes nothing.
set -eu
/opt/tollgate/.venv/bin/python - <<'PYTHON'
import boto3

client = boto3.client("s3")
if "tollgate" not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
    client.create_bucket(Bucket="tollgate")
PYTHON
airflow db migrate
