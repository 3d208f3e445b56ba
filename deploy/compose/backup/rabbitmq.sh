#!/bin/sh
# RabbitMQ's users, rights and queues, without messages: capture publishes anew what queues have lost.
# `sh rabbitmq.sh dump` or `sh rabbitmq.sh restore NAME`.
set -eu
umask 077

case $1 in
dump)
    part=$BACKUP_FOLDER/incoming/rabbitmq.json
    rabbitmqctl --quiet --node "$RABBITMQ_NODE" export_definitions "$part.new" >/dev/null
    mv "$part.new" "$part"
    echo "RabbitMQ's definitions are saved: $(wc -c <"$part") bytes"
    ;;
restore)
    rabbitmqctl --quiet --node "$RABBITMQ_NODE" import_definitions "$BACKUP_FOLDER/$2/rabbitmq.json" >/dev/null
    # Empty queues would look to capture as if nothing had been lost. Where they are missing, it makes them and
    # publishes everything again.
    for queue in $(rabbitmqctl --quiet --node "$RABBITMQ_NODE" list_queues --no-table-headers name |
        grep '^twin\.changes\.'); do
        rabbitmqctl --quiet --node "$RABBITMQ_NODE" delete_queue "$queue" >/dev/null
    done
    echo "RabbitMQ's definitions are as of $2"
    ;;
esac
