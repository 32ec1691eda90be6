#!/usr/bin/env bash
# Unpacks Debian's Sendmail into .peers/sendmail, for its tests. Its package cannot be installed beside Postfix's.
set -euo pipefail
cd "$(dirname "$0")/../.."
home="$PWD/.peers/sendmail"
[ ! -e "$home/ready" ] || exit 0

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND "$@"; fi
}

packages="$(mktemp -d)"
trap 'rm -rf "$packages"' EXIT
download() { (cd "$packages" && apt-get download -qq sendmail-bin sendmail-cf); }
download || { as_root apt-get update -qq; download; }

rm -rf "$home"
mkdir -p "$home"
for package in "$packages"/*.deb; do dpkg-deb --extract "$package" "$home"; done
chmod g-s "$home/usr/libexec/sendmail/sendmail" # which nobody needs who runs it from here

libraries="$(dpkg-deb --field "$packages"/sendmail-bin_*.deb Depends | tr ',' '\n' | grep -oE '^ *lib[^ ]+')"
if ldd "$home/usr/libexec/sendmail/sendmail" | grep -q 'not found'; then
    # shellcheck disable=SC2086 # a word each
    as_root apt-get install -y -qq --no-install-recommends $libraries
fi
touch "$home/ready"
