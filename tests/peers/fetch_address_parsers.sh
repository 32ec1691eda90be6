#!/usr/bin/env bash
# Puts three of npm's parsers of address fields into .peers/npm, for the tests that read From fields with them.
set -euo pipefail
cd "$(dirname "$0")/../.."
home="$PWD/.peers/npm"
[ ! -e "$home/ready" ] || exit 0

mkdir -p "$home"
npm install --prefix "$home" --no-save --no-audit --no-fund --ignore-scripts --loglevel error \
    nodemailer@10.6.1 nodemailer-6@npm:nodemailer@6.10.1 addressparser@1.0.1 email-addresses@5.0.0
touch "$home/ready"
