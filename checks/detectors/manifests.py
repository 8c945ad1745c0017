"""What an application for phones, browsers or desktops may newly do on its user's machine.

## What it detects
Permissions and openings that a manifest newly asks for: Android (`uses-permission`, exported components, clear text, debuggable), iOS and macOS
(entitlements, `Info.plist` usage keys, arbitrary loads), Chrome and Firefox extensions (permissions, hosts, content security policy, who may
connect), Electron (`nodeIntegration`, `contextIsolation`, `sandbox`, `webSecurity`), Tauri capabilities, Flatpak `finish-args` and snap plugs.

## Why it matters
These lines run with the rights of everybody who installs the next release; a store's question to the user is the only gate after this one.

## Example
```diff
-  "host_permissions": ["https://app.acme.io/*"]
+  "host_permissions": ["<all_urls>"]
```

## What makes it safe
Ask for the narrower permission, or for an optional one at the moment it is needed; stage the release.

## What it cannot see
Permissions that a library merges in at build time, and manifests that a program writes.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checks.detectors.base import Detector, Rule, by_file, not_analysed
from checks.model import Change, Effect, FileChange, Hazard, Reversible, Severity, Unreadable
from checks.places import Place, place_of
from checks.readers import LIMIT, documents, syntax, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

ASKED = Rule("manifests/permission-asked", Hazard.PRIVILEGE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "An application asks for more")
OPENED = Rule(
    "manifests/opened-to-others", Hazard.EXPOSURE_WIDENED, Severity.MODERATE, Reversible.PARTLY, "Other programs or pages can reach it"
)
GUARD = Rule("manifests/isolation-off", Hazard.PROTECTION_REMOVED, Severity.HIGH, Reversible.PARTLY, "What keeps it apart is switched off")
RULES = (ASKED, OPENED, GUARD)

_BY_KIND = {"asks": ASKED, "opens": OPENED, "drops": GUARD}


@dataclass(frozen=True, slots=True)
class Right:
    """One thing an application may do, or one guard it goes without."""

    kind: str
    """asks, opens or drops."""
    name: str
    line: int
    severity: Severity | None = None


def detect(change: Change, files: Sequence[FileChange]) -> Iterator[Effect]:
    """The rights at head beyond those at base; a new application's first manifest is told once, low, only where it asks for much."""
    for file in files:
        if (
            file.new is None
            or not file.new.is_file
            or place_of(file.path) is not Place.DEPLOYED
            or (file.old and file.old.oid == file.new.oid)
        ):
            continue
        try:
            old = {right.name for right in _rights(change.base_bytes(file), file.base_path)}
        except Unreadable:
            continue
        try:
            new = _rights(change.head_bytes(file), file.path)
        except Unreadable as unreadable:
            yield not_analysed(file.path, unreadable.why, unreadable.line, severity=Severity.LOW)
            continue
        first = file.old is None
        for right in new:
            if right.name in old or (first and right.kind == "asks" and right.severity is not Severity.HIGH):
                continue
            rule = _BY_KIND[right.kind]
            yield rule.effect(
                subject=right.name,
                path=file.path,
                line=right.line or None,
                after=right.name,
                severity=Severity.LOW if first and right.kind != "drops" else right.severity,
                message=_SENTENCES[right.kind].format(what=right.name),
            )
            old.add(right.name)


_SENTENCES = {
    "asks": "Everybody who installs the next release lets it {what}.",
    "opens": "Something outside the application can newly reach it: {what}.",
    "drops": "What kept foreign code apart from the application and its user's machine is off: {what}.",
}


def _rights(data: bytes | None, path: str) -> list[Right]:
    if not data:
        return []
    name = path.rpartition("/")[2].lower()
    if name == "androidmanifest.xml":
        return list(_android(text_of(data, path)))
    if name.endswith((".entitlements", "info.plist")):
        return list(_apple(data, path))
    if name.startswith("manifest.") and name.endswith(".json"):
        return list(_extension(data, path))
    if re.search(r"\.[cm]?[jt]s\Z", name):
        return list(_electron(data, path))
    if "capabilities/" in path or name.startswith("tauri.conf"):
        return list(_tauri(data, path))
    if name in ("snapcraft.yaml", "snapcraft.yml"):
        return list(_snap(data, path))
    return list(_flatpak(data, path))


# --- phones ------------------------------------------------------------------------------------------------------------------------------

# developer.android.com/reference/android/Manifest.permission: the dangerous and signature ones; the normal ones ask nobody.
_DANGEROUS = re.compile(
    r"CAMERA|RECORD_AUDIO|LOCATION|CONTACTS|SMS|PHONE|CALL_LOG|CALENDAR|STORAGE|MEDIA_|SENSORS|SYSTEM_ALERT|PACKAGES|ACCESSIBILITY|DEVICE_ADMIN|"
    r"WRITE_SETTINGS|USAGE_STATS|OVERLAY|BIND_|MANAGE_|GET_ACCOUNTS|BLUETOOTH_(?:SCAN|CONNECT)|NEARBY|ACTIVITY_RECOGNITION|POST_NOTIF"
)
_GRAVE = re.compile(
    r"SMS|CALL_LOG|ACCESSIBILITY|DEVICE_ADMIN|MANAGE_EXTERNAL|INSTALL_PACKAGES|SYSTEM_ALERT|BACKGROUND_LOCATION|QUERY_ALL_PACKAGES"
)
_XML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def _android(source: str) -> Iterator[Right]:
    source = _XML_COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)

    def line(at: int) -> int:
        return source.count("\n", 0, at) + 1

    for tag in re.finditer(r"<(?P<tag>[\w.-]+)\s(?P<rest>[^<>]*)>", source):
        values = dict(re.findall(r"([\w:]+)\s*=\s*[\"']([^\"']*)[\"']", tag["rest"]))
        own = values.get("android:name", "")
        if tag["tag"].startswith("uses-permission") and _DANGEROUS.search(own) and values.get("tools:node") != "remove":
            yield Right("asks", f"use {own.rpartition('.')[2]}", line(tag.start()), Severity.HIGH if _GRAVE.search(own) else None)
        if values.get("android:exported") == "true" and "android:permission" not in values and not _launcher(source, tag.end()):
            yield Right("opens", f"{tag['tag']} {own} is exported", line(tag.start()))
        if values.get("android:usesCleartextTraffic") == "true" or values.get("cleartextTrafficPermitted") == "true":
            yield Right("drops", "clear text traffic is allowed", line(tag.start()), Severity.MODERATE)
        if values.get("android:debuggable") == "true":
            yield Right("drops", "android:debuggable", line(tag.start()))


def _launcher(source: str, at: int) -> bool:
    """The activity a user starts has to be exported."""
    return "android.intent.category.LAUNCHER" in source[at : at + 1500].split("</activity")[0]


_ENTITLEMENTS = re.compile(
    r"get-task-allow|disable-library-validation|allow-unsigned-executable-memory|allow-jit|disable-executable-page-protection|allow-dyld|all-files|"
    r"temporary-exception|networking\.(?:vpnextension|networkextension)|endpoint-security|automation\.apple-events|device\.(?:camera|audio-input|microphone)|"
    r"personal-information|files\.downloads|keychain-access-groups|application-groups|associated-domains|healthkit|contacts"
)


def _apple(data: bytes, path: str) -> Iterator[Right]:
    if len(data) > LIMIT:
        raise Unreadable(path, f"{len(data):,} bytes are over the limit of {LIMIT:,}")
    try:
        root = plistlib.loads(data)
    except Exception as error:  # noqa: BLE001 - the library raises whatever its XML parser does
        if b"$(" in data and b"<dict>" not in data:
            return
        raise Unreadable(path, f"it is not a property list ({type(error).__name__})") from None
    if not isinstance(root, dict):
        return

    def line(key: str) -> int:
        at = data.find(key.encode())
        return data.count(b"\n", 0, at) + 1 if at >= 0 else 0

    for key, value in root.items():
        if key == "com.apple.security.app-sandbox" and value is False:
            yield Right("drops", "the App Sandbox is off", line(key))
        elif path.endswith(".entitlements") and _ENTITLEMENTS.search(key) and value not in (False, [], ""):
            grave = re.search(r"disable-|unsigned|get-task|dyld|all-files|endpoint", key)
            for item in value if isinstance(value, list) else [None]:
                yield Right("asks", f"have {key}{f' {item}' if item is not None else ''}", line(key), Severity.HIGH if grave else None)
        elif key.startswith("NS") and key.endswith("UsageDescription"):
            yield Right("asks", f"ask for {key.removeprefix('NS').removesuffix('UsageDescription')}", line(key))
        elif key == "NSAppTransportSecurity" and isinstance(value, dict):
            yield from (
                Right("drops", f"{name} in App Transport Security", line(name), Severity.MODERATE)
                for name in value
                if name.startswith("NSAllowsArbitrary") and value[name] is True
            )


# --- browsers ----------------------------------------------------------------------------------------------------------------------------

_QUIET = frozenset(
    {
        "storage",
        "alarms",
        "contextMenus",
        "activeTab",
        "sidePanel",
        "offscreen",
        "unlimitedStorage",
        "menus",
        "theme",
        "idle",
        "power",
        "fontSettings",
        "favicon",
    }
)
_STRONG = frozenset(
    {
        "<all_urls>",
        "*://*/*",
        "https://*/*",
        "http://*/*",
        "debugger",
        "nativeMessaging",
        "proxy",
        "management",
        "webRequestBlocking",
        "privacy",
        "cookies",
        "history",
    }
)


def _extension(data: bytes, path: str) -> Iterator[Right]:
    root = documents.json_node(data, path)
    if root.get("manifest_version") is None:
        return
    for group in ("permissions", "host_permissions"):
        for item in found.elements() if (found := root.get(group)) else ():
            if item.text and item.text not in _QUIET:
                strong = item.text in _STRONG
                yield Right("asks", f"have {item.text}", item.line, Severity.HIGH if strong else None)
    scripts = root.get("content_scripts")
    for script in scripts.elements() if scripts else ():
        for item in found.elements() if (found := script.get("matches")) else ():
            if item.text:
                yield Right("asks", f"run in pages of {item.text}", item.line, Severity.HIGH if item.text in _STRONG else None)
    outside = root.get("externally_connectable", "matches")
    for item in outside.elements() if outside else ():
        yield Right("opens", f"pages of {item.text} may send it messages", item.line)
    policy = root.get("content_security_policy")
    for _, node in policy.walk() if policy else ():
        for word in re.findall(r"'unsafe-\w+(?:-\w+)?'|(?<=script-src )[^;]*https?://[^\s;]+", node.text or ""):
            yield Right("drops", f"the content security policy allows {word}", node.line)


# --- desktops ----------------------------------------------------------------------------------------------------------------------------

_ELECTRON = {
    ("nodeIntegration", "true"): None, ("contextIsolation", "false"): None, ("sandbox", "false"): Severity.MODERATE, ("webSecurity", "false"): None,
    ("allowRunningInsecureContent", "true"): None, ("nodeIntegrationInSubFrames", "true"): None, ("nodeIntegrationInWorker", "true"): Severity.MODERATE,
    ("enableRemoteModule", "true"): None, ("experimentalFeatures", "true"): Severity.LOW, ("webviewTag", "true"): Severity.MODERATE,
}  # fmt: skip


def _electron(data: bytes, path: str) -> Iterator[Right]:
    if b"webPreferences" not in data:
        return
    root = syntax.tree(data, path, syntax.language_of(path) or "javascript").root_node
    for node in syntax.walk(root, lambda node: node.type != "comment"):
        if (
            node.type == "pair"
            and (key := syntax.text(node.child_by_field_name("key")))
            and (key, syntax.text(node.child_by_field_name("value"))) in _ELECTRON
            and _in_preferences(node)
        ):
            value = syntax.text(node.child_by_field_name("value"))
            yield Right("drops", f"{key}: {value}", syntax.line(node), _ELECTRON[(key, value)])


def _in_preferences(node: Node) -> bool:
    above = node.parent.parent if node.parent is not None else None
    return (
        above is not None
        and above.type in ("pair", "variable_declarator")
        and "ebPreferences" in syntax.text(above.child_by_field_name("key") or above.child_by_field_name("name"))
    )


def _tauri(data: bytes, path: str) -> Iterator[Right]:
    root = documents.json_node(data, path)
    permissions = root.get("permissions")
    for item in permissions.elements() if permissions else ():
        name = item.text or item.string("identifier") or ""
        if re.search(r"^(?:shell|fs|process|http|opener|os|clipboard-manager|global-shortcut|updater):", name) and not re.search(
            r":deny-|scope$", name
        ):
            grave = re.search(r"^(?:shell:allow-(?:execute|spawn)|fs:(?:allow-write|write-all|default-.*all|scope-.*recursive))", name)
            yield Right("asks", f"use {name}", item.line, Severity.HIGH if grave else None)
    for item in found.elements() if (found := root.get("remote", "urls")) else ():
        yield Right("opens", f"pages of {item.text} may call its commands", item.line, Severity.HIGH)
    security = root.get("app", "security") or root.get("tauri", "security")
    if security is not None and (csp := security.get("csp")) is not None and csp.is_scalar and csp.value is None:
        yield Right("drops", "no content security policy", csp.line, Severity.LOW)
    if security is not None and security.string("dangerousDisableAssetCspModification") == "true":
        yield Right("drops", "dangerousDisableAssetCspModification", security.line, Severity.MODERATE)


_GRAVE_ARGS = re.compile(
    r"--filesystem=(?:host|home|/|~)|--device=all|--socket=(?:session-bus|system-bus)|--talk-name=org\.freedesktop\.Flatpak|--allow=devel"
)


def _flatpak(data: bytes, path: str) -> Iterator[Right]:
    node = documents.json_node(data, path) if data.lstrip()[:1] in (b"{", b"/") else documents.one_yaml(data, path)
    arguments = node.get("finish-args") if node is not None else None
    for item in arguments.elements() if arguments else ():
        if (
            item.text
            and re.match(r"--(?:filesystem|device|socket|share|talk-name|own-name|system-talk-name|allow)=", item.text)
            and item.text not in ("--share=ipc", "--socket=wayland", "--socket=fallback-x11", "--device=dri")
        ):
            yield Right("asks", f"have {item.text}", item.line, Severity.HIGH if _GRAVE_ARGS.match(item.text) else Severity.LOW)


_GRAVE_PLUGS = frozenset(
    {
        "system-files",
        "docker",
        "docker-support",
        "kernel-module-control",
        "snapd-control",
        "block-devices",
        "raw-usb",
        "system-observe",
        "classic-support",
        "super-privileged",
    }
)


def _snap(data: bytes, path: str) -> Iterator[Right]:
    root: Any = documents.one_yaml(data, path)
    if root is None:
        return
    if root.string("confinement") in ("classic", "devmode"):
        yield Right("drops", f"confinement: {root.string('confinement')}", root.key_line("confinement"))
    apps = root.get("apps")
    for _, app in apps.entries() if apps else ():
        for item in found.elements() if (found := app.get("plugs")) else ():
            if item.text and item.text not in (
                "desktop",
                "wayland",
                "x11",
                "opengl",
                "audio-playback",
                "desktop-legacy",
                "gsettings",
                "unity7",
            ):
                yield Right("asks", f"have the plug {item.text}", item.line, Severity.HIGH if item.text in _GRAVE_PLUGS else Severity.LOW)


DETECTOR = Detector("manifests", "What an application may do on its user's machine", RULES, detect, by_file, sure=True)
