#!/bin/sh
# The worker that decides. It alone is given the ledger's private key, and keeps it in a file that nobody else reads.
set -eu
umask 077
printf -- '-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n' "$LEDGER_KEY" >/tmp/ledger.pem
unset LEDGER_KEY
exec airflow celery worker --queues decide
