#!/bin/sh
# An S3 server with two identities, taken from the environment, so that no key stands in a file of the repository:
# whoever writes tables reads the ledger, and whoever decides writes it.
set -eu
umask 077
cat >/tmp/s3.json <<JSON
{"identities": [{"name": "tables",
                 "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}],
                 "actions": ["Read:tollgate", "List:tollgate", "Tagging:tollgate", "Write:tollgate",
                             "Read:tollgate-ledger", "List:tollgate-ledger"]},
                {"name": "decisions",
                 "credentials": [{"accessKey": "$S3_LEDGER_ACCESS_KEY", "secretKey": "$S3_LEDGER_SECRET_KEY"}],
                 "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}
JSON
# Of keys that it finds in its environment the server makes an administrator.
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY S3_LEDGER_ACCESS_KEY S3_LEDGER_SECRET_KEY
# The S3 gateway's own gRPC port listens wherever S3 does, and without this key it makes whoever asks an administrator
# (seaweedfs/seaweedfs#11190). Nobody else needs the key, so it is a new one at every start.
WEED_JWT_FILER_SIGNING_KEY=$(head -c 32 /dev/urandom | base64)
export WEED_JWT_FILER_SIGNING_KEY
# A bucket takes one volume at a time, and there are as many as the disk holds. By default the first bucket would take
# seven of eight and the next one the last: the filer's own log then finds none, and every write waits for ever.
export WEED_MASTER_VOLUME_GROWTH_COPY_1=1
# Master, volumes and filer know no login and would list every bucket: they talk to each other inside this service
# alone. Only S3 listens outside.
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false -master.volumeSizeLimitMB=1024 \
    -volume.port=8081 -volume.max=0 \
    -filer.disableDirListing -filer.exposeDirectoryData=false \
    -s3 -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.port.iceberg=0 -s3.port.lance=0 -s3.config=/tmp/s3.json \
    -s3.allowDeleteBucketNotEmpty=false
