#!/bin/sh
# Members of a replica set that asks for passwords need a key file, even a set of one.
set -eu
(umask 077 && printf '%s\n' "$MONGO_REPLICA_KEY" >/data/configdb/keyfile)
chown mongodb:mongodb /data/configdb/keyfile
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /data/configdb/keyfile --bind_ip_all
