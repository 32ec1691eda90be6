#!/bin/sh
# What the service is set to holds for every command, wherever it is typed; but a folder with a rules.yaml of its own is
# a gate of its own. A variable of the environment wins over the file, as a flag wins over both.
settings=/etc/gatekeeper/gatekeeper.env
keep() {
    if ! printenv "$1" >/dev/null; then export "$1=$2"; fi
}

if [ ! -e rules.yaml ] || [ "$(pwd -P)" = /etc/gatekeeper ]; then
    if [ -r "$settings" ]; then
        while IFS= read -r line; do
            case "$line" in GATEKEEPER_*=*) ;; *) continue ;; esac
            value="${line#*=}"
            case "$value" in \"*\" | \'*\') value="${value#?}" value="${value%?}" ;; esac
            keep "${line%%=*}" "$value"
        done <"$settings"
    fi
    keep GATEKEEPER_RULES /etc/gatekeeper/rules.yaml
    keep GATEKEEPER_DATABASE sqlite:////var/lib/gatekeeper/gatekeeper.db
fi
PYTHONPATH=/usr/lib/gatekeeper exec /usr/bin/python3 -P -m gatekeeper "$@"
