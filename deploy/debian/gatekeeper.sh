#!/bin/sh
PYTHONPATH=/usr/lib/gatekeeper exec /usr/bin/python3 -P -m gatekeeper.cli "$@"
