#!/bin/sh
# The worker that decides. It alone is given the ledger's private key, and keeps it in a file that nobody else reads.
set -eu
umask 077
printf -- '-----%s PRIVATE KEY-----\n' BEGIN >/tmp/ledger.pem
printf -- '%s\n-----%s PRIVATE KEY-----\n' "$LEDGER_KEY" END >>/tmp/ledger.pem
unset LEDGER_KEY
exec airflow celery worker --queues decide
