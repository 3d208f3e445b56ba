#!/usr/bin/env bash
# Sets everything up, unattended and idempotent: .venv, RabbitMQ where it may, the servers' programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=.venv/setup.log

find_python() {
    local name
    for name in ${PYTHON:-} python3.11 python3.12 python3; do
        if "$name" -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
            >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    echo "setup: Python 3.11 or 3.12 with venv is missing; install it, or name it: make setup PYTHON=..." >&2
    return 1
}

# One line that counts up, where somebody watches; pip's own hundreds of lines go to the log.
# Not awk: mawk reads a pipe in blocks, and would tell of the installing when it is over.
show_progress() {
    local line found=0 every=50 end='\n' total
    total=$(grep -c '==' constraints.txt)
    if [ -t 1 ]; then every=1 end='\r'; fi
    while IFS= read -r line; do
        case $line in
            "Collecting "* | "Processing "*)
                found=$((found + 1))
                if ((found % every == 0)); then printf "setup: %d of some %d packages found$end" "$found" "$total"; fi
                ;;
            "Installing collected packages"*)
                if [ -t 1 ]; then echo; fi
                echo "setup: installing them (a minute or two)"
                ;;
            ERROR*) echo "$line" ;;
        esac
    done
}

install_packages() {
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off \
        --constraint constraints.txt --editable '.[local,dev]' 2>&1 | tee "$log" | show_progress
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    echo "setup: making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi

echo "setup: installing the Python packages (2 GB; some minutes at the first time)"
if [ "$(uname -s)" = Linux ] && [ -z "${PIP_FIND_LINKS:-}${PIP_EXTRA_INDEX_URL:-}${PIP_INDEX_URL:-}" ]; then
    echo "setup: without a GPU, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS may point at torch's CPU builds: gigabytes less"
fi
if ! install_packages; then
    echo "setup: pip failed; its last words are above, everything is in $log" >&2
    exit 1
fi

scripts/install_package.sh rabbitmq-server /usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
echo "setup: converting the bundled model for OpenVINO, where it is missing (half a minute)"
.venv/bin/python scripts/convert_bundled_model.py
echo "setup: fetching the servers' programs that are missing"
.venv/bin/python -m twin_assets.stack.fetch
echo "setup: done"
