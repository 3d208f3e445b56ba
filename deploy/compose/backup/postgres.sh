#!/bin/sh
# Dagster's memory: `sh postgres.sh dump` or `sh postgres.sh restore NAME`. PGHOST, PGUSER, PGDATABASE and
# PGPASSWORD say where.
set -eu
umask 077

case ${1-} in
dump)
    part=$BACKUP_FOLDER/incoming/postgres.dump
    pg_dump --format=custom --file="$part.new"
    mv "$part.new" "$part"
    echo "Postgres is saved: $(wc -c <"$part") bytes"
    ;;
restore)
    pg_restore --exit-on-error --single-transaction --clean --if-exists --no-owner --dbname="$PGDATABASE" \
        "$BACKUP_FOLDER/$2/postgres.dump"
    echo "Postgres is as of $2"
    ;;
*)
    echo "usage: postgres.sh dump | restore NAME" >&2
    exit 2
    ;;
esac
