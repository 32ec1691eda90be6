#!/usr/bin/env bash
# Builds what a release is made of, from what is committed: sdist, wheel, SBOM and checksums, in dist/ or the folder that is
# named. The same commit gives the same octets (SOURCE_DATE_EPOCH is its time).
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
out="${1:-dist}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)"
export SOURCE_DATE_EPOCH PYTHONHASHSEED=0 TZ=UTC LC_ALL=C
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

python="$PWD/.venv/dist/bin/python"
if [ tools/dist.txt -nt .venv/dist/ready ]; then
    .venv/bin/python -m venv .venv/dist
    .venv/dist/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement tools/dist.txt
    touch .venv/dist/ready
fi

mkdir "$work/source"
git archive HEAD | tar -x -C "$work/source"
"$python" -m build --sdist --no-isolation --outdir "$work/sdist" "$work/source" >"$work/log" || { cat "$work/log"; exit 1; }
# setuptools leaves times and owners in the sdist: packed again without them.
made="$(basename "$work"/sdist/*.tar.gz)"
mkdir "$work/unpacked"
tar -x -f "$work/sdist/$made" -C "$work/unpacked"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu \
    -c -C "$work/unpacked" "${made%.tar.gz}" | gzip -9 -n >"$out/$made"
"$python" -m build --wheel --no-isolation --outdir "$out" "$work/unpacked/${made%.tar.gz}" >"$work/log" || { cat "$work/log"; exit 1; }

wheel="$(basename "$out"/gatekeeper_mail-*.whl)"
"$python" -m cyclonedx_py requirements --pyproject "$work/source/pyproject.toml" --output-reproducible --output-format JSON \
    --output-file "$out/${wheel%-py3-none-any.whl}.cdx.json" "$work/source/deploy/requirements.txt"
"$python" -m twine check --strict "$out/$made" "$out/$wheel"
(cd "$out" && sha256sum "$made" "$wheel" "${wheel%-py3-none-any.whl}.cdx.json" >SHA256SUMS && cat SHA256SUMS)
