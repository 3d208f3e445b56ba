#!/usr/bin/env bash
# Runs the compose file as a user would, with passwords made up for the occasion: starts it, takes documents in,
# checks them, backs everything up, restores Qdrant, and takes it all down. Refuses where an installation is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -e .env ] || [ -n "$(docker compose ls --all --quiet --filter name=twin_assets)" ]; then
    echo "compose-test: there is a .env or a running twin_assets here, which this would spoil" >&2
    exit 1
fi

secret() { openssl rand -hex 24; }

clean_up() {
    local rc=$?
    if ((rc)); then docker compose logs --tail 50 || true; fi
    docker compose --profile backup down --volumes --timeout 60 || true
    rm -f .env
    exit "$rc"
}

inside() { docker compose exec -T code "$@"; }

umask 077
BACKUPS=$(mktemp -d)
cat >.env <<EOF
MONGO_ROOT_PASSWORD=$(secret)
MONGO_PASSWORD=$(secret)
MONGO_REPLICA_KEY=$(secret)
RABBITMQ_PASSWORD=$(secret)
QDRANT_API_KEY=$(secret)
POSTGRES_PASSWORD=$(secret)
UI_USER=tester
UI_PASSWORD_HASH='$(docker run --rm caddy:2.8 caddy hash-password --plaintext "$(secret)")'
DOCKER_GROUP_ID=$(stat -c %g /var/run/docker.sock)
BACKUPS=$BACKUPS
EOF
trap clean_up EXIT

build=--build
if [ -n "${TWIN_IMAGE:-}" ] && docker image inspect "$TWIN_IMAGE" >/dev/null 2>&1; then
    build=--no-build
fi
docker compose up "$build" --wait --wait-timeout 600
test "$(curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:3000/)" = 401

# Docker copies nothing into a container whose root may only be read.
inside sh -c 'cat >/tmp/posts.jsonl' <samples/posts.jsonl
inside twin ingest posts /tmp/posts.jsonl
deadline=$((SECONDS + 300))
until inside twin check; do
    if ((SECONDS > deadline)); then
        echo "compose-test: not in step after 5 minutes" >&2
        exit 1
    fi
    sleep 10
done

docker compose --profile backup run --rm backup
docker compose run --rm --no-deps backup twin backup verify /backups
docker compose run --rm --no-deps backup-qdrant twin backup restore-snapshots /backups --replace
inside twin repair
inside twin check
echo "compose-test: all is well"
