#!/bin/sh
# RabbitMQ's users, rights and queues, without messages: capture publishes anew what queues have lost.
# `sh rabbitmq.sh dump` or `sh rabbitmq.sh restore NAME`.
set -eu
umask 077

control() {
    rabbitmqctl --quiet --node "$RABBITMQ_NODE" "$@"
}

case ${1-} in
dump)
    part=$BACKUP_FOLDER/incoming/rabbitmq.json
    control export_definitions "$part.new" >/dev/null
    mv "$part.new" "$part"
    echo "RabbitMQ's definitions are saved: $(wc -c <"$part") bytes"
    ;;
restore)
    control import_definitions "$BACKUP_FOLDER/$2/rabbitmq.json" >/dev/null
    # Empty queues would look to capture as if nothing had been lost. Where they are missing, it makes them and
    # publishes everything again.
    queues=$(control list_queues --no-table-headers name)
    for queue in $queues; do
        case $queue in
        twin.changes.*) control delete_queue "$queue" >/dev/null ;;
        esac
    done
    echo "RabbitMQ's definitions are as of $2"
    ;;
*)
    echo "usage: rabbitmq.sh dump | restore NAME" >&2
    exit 2
    ;;
esac
