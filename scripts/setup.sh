#!/bin/sh
# Sets everything up, unattended and idempotent: .venv, the servers' programs, RabbitMQ where it may.
set -eu
cd "$(dirname "$0")/.."

find_python() {
    for name in ${PYTHON:-} python3.11 python3.12 python3; do
        if "$name" -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
            >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    echo "setup: Python 3.11 or 3.12 with venv is missing; install it, or name it: make setup PYTHON=..." >&2
    exit 1
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "setup: making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi

echo "setup: installing the Python packages (2 GB; minutes at the first time)"
if [ "$(uname -s)" = Linux ] && [ -z "${PIP_FIND_LINKS:-}${PIP_EXTRA_INDEX_URL:-}" ]; then
    echo "setup: without a GPU, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS may point at torch's CPU builds: gigabytes less"
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable '.[local,dev]'

sh scripts/install_rabbitmq.sh
echo "setup: fetching the servers' programs that are missing"
.venv/bin/python -m twin_assets.stack.fetch
echo "setup: done"
