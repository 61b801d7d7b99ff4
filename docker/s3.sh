#!/bin/sh
# An S3 server with one identity, taken from the environment, so that no key stands in a file of the repository.
set -eu
umask 077
cat >/tmp/s3.json <<JSON
{"identities": [{"name": "tollgate",
                 "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}],
                 "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}
JSON
exec weed server -dir=/data -ip=s3 -ip.bind=0.0.0.0 -s3 -s3.port=8333 -s3.config=/tmp/s3.json
