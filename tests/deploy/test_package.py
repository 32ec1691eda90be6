"""The wheel and the Debian package, each made, installed where nothing of this project is, and used.

`make test` sees that no file of the package is forgotten; `make soak PYTEST_FLAGS=tests/deploy` makes both. What they
depend on is fetched: that takes the network.
"""

from __future__ import annotations

import os
import platform
import signal
import smtplib
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.peers import free_port, listens, require, wait_for

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BESIDE_CODE = PROJECT["tool"]["setuptools"]["package-data"]["gatekeeper"]


def run(*words: object, **options: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def package_files() -> list[str]:
    """What is in the package by git, such as gatekeeper/model.py."""
    listed = run("git", "ls-files", "gatekeeper", cwd=ROOT).split()
    return listed if listed else pytest.skip("no checkout")


def test_no_file_of_the_package_is_forgotten():
    inside = [Path(name).relative_to("gatekeeper") for name in package_files() if not name.endswith(".py")]
    forgotten = [path for path in inside if not any(path.match(glob.removeprefix("**/")) for glob in BESIDE_CODE)]
    assert inside and not forgotten


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built of what is checked in, as it is on disk now."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = [*package_files(), "pyproject.toml", "README.md", "LICENSE"]
    run("cp", "--parents", *names, source, cwd=ROOT)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, source)
    (path,) = made.glob("gatekeeper_mail-*.whl")
    return path


@pytest.mark.soak
def test_the_wheel_carries_all_of_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    assert set(package_files()) <= carried
    foreign = {name for name in carried if not name.startswith(("gatekeeper/", "gatekeeper_mail-"))}
    assert not foreign


@pytest.mark.soak
def test_installed_by_itself_it_makes_a_folder_and_serves(wheel, tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(tmp_path / "venv/bin/pip", "install", "--quiet", wheel, cwd=tmp_path)
    folder, program = tmp_path / "empty", tmp_path / "venv/bin/gatekeeper"
    folder.mkdir()
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("GATEKEEPER_", "PYTHON"))}
    run(program, "init", cwd=folder, env=outside)
    assert run(program, "rules", "check", cwd=folder, env=outside).endswith("rules.yaml: good\n")
    port, ops = free_port(), free_port()
    listening = ["--listen", f"127.0.0.1:{port}", "--ops", f"127.0.0.1:{ops}"]
    served = subprocess.Popen(
        [program, "serve", "--next-hop", "maildir:out", *listening], cwd=folder, env=outside, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: served.poll() is not None or listens(port), lambda: "nobody listens", 90)
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            client.sendmail("head@doa.example.gov", ["jo@dphhs.example.gov"], b"Subject: hello\r\n\r\nHello\r\n")
        (filed,) = (folder / "out/new").iterdir()
        assert filed.read_bytes().replace(b"\r\n", b"\n").endswith(b"Subject: hello\n\nHello\n")
        assert run(program, "queue", cwd=folder, env=outside) == "nothing waits\n"
        served.send_signal(signal.SIGTERM)
        assert served.wait(90) == 0
    finally:
        served.kill()
        served.wait()


@pytest.mark.soak
def test_the_same_commit_gives_the_same_files(tmp_path):
    """Built twice, of two checkouts with other umasks: sdist, wheel and SBOM are the same to the octet."""
    sums = []
    for umask in ("022", "077"):
        copy, made = tmp_path / f"source-{umask}", tmp_path / f"made-{umask}"
        run("sh", "-c", f"umask {umask} && git clone --quiet {ROOT} {copy}")
        (copy / ".venv").symlink_to(ROOT / ".venv")
        (copy / "deploy/requirements.txt").write_text(f"# {umask}: what is not committed is in none of them\n")
        run("sh", "-c", f"umask {umask} && {copy}/tools/dist.sh {made}")
        sums.append((made / "SHA256SUMS").read_text())
        assert len(list(made.iterdir())) == 4
    assert sums[0] == sums[1]


@pytest.mark.soak
def test_the_debian_package_is_made_installed_used_and_purged(tmp_path):
    """By Debian's own tools, in a Debian of its own under its own systemd; each line that is so says it."""
    for program in ("dpkg-buildpackage", "dh", "lintian", "mmdebstrap", "systemd-nspawn"):
        require(program)
    if os.geteuid():
        pytest.skip("takes root, for a Debian of its own")
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    run(ROOT / "deploy/build-deb", tmp_path)
    (package,) = tmp_path.glob("*.deb")
    run("lintian", "--fail-on", "error,warning", package)
    said = run(ROOT / "deploy/debian/try", package, suite).splitlines()
    assert said[-1] == "ended with 0" and sum(line.startswith("so: ") for line in said) >= 20, said
