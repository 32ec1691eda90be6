#!/usr/bin/env bash
# Puts what tests need of npm into .peers/npm: parsers of messages, address fields and HTML, axe for pages, an issuer that people sign in at.
set -euo pipefail
cd "$(dirname "$0")/../.."
home="$PWD/.peers/npm"
packages=(nodemailer@10.6.1 nodemailer-6@npm:nodemailer@6.10.1 addressparser@1.0.1 email-addresses@5.0.0 parse5@7.3.0 axe-core@4.14.1)
packages+=(mailparser@3.14.2 postal-mime@4.0.0 oidc-provider@9.13.3)
[ "$(cat "$home/fetched" 2>/dev/null)" != "${packages[*]}" ] || exit 0

mkdir -p "$home"
npm install --prefix "$home" --no-save --no-audit --no-fund --ignore-scripts --loglevel error "${packages[@]}"
echo "${packages[*]}" >"$home/fetched"
