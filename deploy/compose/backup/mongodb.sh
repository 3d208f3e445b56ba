#!/bin/sh
# MongoDB's part of a backup, and two ways back:
#   sh mongodb.sh dump
#   sh mongodb.sh restore NAME        people's documents, into an installation that is otherwise whole
#   sh mongodb.sh restore-all NAME    our own records too, into an empty installation; Qdrant must come from NAME as well
# The password goes through a file, since a command line can be read by others.
set -eu
umask 077
config=$(mktemp)
trap 'rm -f "$config"' EXIT
# In single quotes YAML knows one special character, the quote itself, which is doubled.
printf "password: '%s'\n" "$(printf %s "$MONGO_ROOT_PASSWORD" | sed "s/'/''/g")" >"$config"
login="--config=$config --host=$MONGO_HOST --username=root --authenticationDatabase=admin --gzip"

dump() { # database, file
    # shellcheck disable=SC2086
    mongodump $login --db="$1" --archive="$BACKUP_FOLDER/incoming/$2.new"
    mv "$BACKUP_FOLDER/incoming/$2.new" "$BACKUP_FOLDER/incoming/$2"
    echo "$1 is saved: $(wc -c <"$BACKUP_FOLDER/incoming/$2") bytes"
}

restore() { # backup, database, file
    # shellcheck disable=SC2086
    mongorestore $login --nsInclude="$2.*" --drop --stopOnError --archive="$BACKUP_FOLDER/$1/$3"
    echo "$2 is as of $1"
}

case ${1-} in
dump)
    # Our records first: a position that is older than the documents only has some of them looked at twice.
    dump "${TWIN_MONGODB_DATABASE}_meta" mongodb-meta.archive.gz
    dump "$TWIN_MONGODB_DATABASE" mongodb.archive.gz
    ;;
restore)
    restore "$2" "$TWIN_MONGODB_DATABASE" mongodb.archive.gz
    ;;
restore-all)
    restore "$2" "${TWIN_MONGODB_DATABASE}_meta" mongodb-meta.archive.gz
    restore "$2" "$TWIN_MONGODB_DATABASE" mongodb.archive.gz
    ;;
*)
    echo "usage: mongodb.sh dump | restore NAME | restore-all NAME" >&2
    exit 2
    ;;
esac
