"""What the server is made of, from requirements.lock and the installed packages: `licences` as a table, `sbom` as CycloneDX 1.6. No network."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"


def locked() -> dict[str, tuple[str, list[str]]]:
    """Name → version and SHA-256 digests of the lock."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in LOCK.read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line):
            name = match[1].lower()
            found[name] = (match[2], [])
        found[name][1].extend(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def licence(name: str) -> str:
    """What the package's metadata says; empty where it is not installed here (another platform's)."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return ""
    classified = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or () if line.startswith("License ::")]
    first = (told.get("License") or "").strip().splitlines()[:1]
    return told.get("License-Expression") or " / ".join(classified) or (first[0] if first else "") or "unknown"


def licences() -> str:
    """A line for each package."""
    return "\n".join(f"{name:<32} {version:<16} {licence(name) or 'not on this platform'}" for name, (version, _) in locked().items())


def sbom() -> str:
    """The bill of materials: no time and no random number in it, so that the same lock gives the same bytes."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            **({"licenses": [{"license": {"name": told}}]} if (told := licence(name)) else {}),
            # A wheel for each platform: which of them is installed, the lock leaves open.
            "properties": [{"name": "interlock:sha256", "value": digest} for digest in digests],
        }
        for name, (version, digests) in locked().items()
    ]
    main = {"type": "application", "name": "interlock", "bom-ref": "interlock"}
    return json.dumps(
        {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": main}, "components": components}, indent=1
    )


if __name__ == "__main__":
    print({"licences": licences, "sbom": sbom}[sys.argv[1]]())
