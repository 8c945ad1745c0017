"""Development containers and agents' images: what whoever works inside, an agent too, can do to the machine around it.

Docs: containers.dev/implementors/json_reference; docs.docker.com/engine/reference/run (--privileged, --cap-add, --network); sudoers(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from checks.authority.nouns import Authority, Draft, Grant, Verb
from checks.authority.sources import Folder, truth
from checks.model import Severity, Tree, Unreadable
from checks.readers import text_of
from checks.readers.documents import Node

AGENT, TITLE = "devcontainer", "An agent in the development container"
_HOST = re.compile(
    r"docker\.sock|podman\.sock|\.aws\b|\.kube\b|\.ssh\b|\.config/gcloud|\.azure\b|ssh-agent|SSH_AUTH_SOCK|source=/,|type=bind,source=/,|/var/run"
)
_SUDO = re.compile(r"NOPASSWD|usermod\s+-[aG]+\s+(?:sudo|wheel)|adduser\s+\S+\s+(?:sudo|wheel)|/etc/sudoers")
_AGENTS = re.compile(
    r"claude-code|gemini-cli|claude\.ai/install|@openai/codex|@google/gemini-cli|@github/copilot|cursor\.com/install|aider-chat|opencode-ai|openhands|@sourcegraph/amp|goose",
    re.IGNORECASE,
)


def read(folder: Folder) -> Iterator[Authority]:
    """What the folder's development container gives those inside."""
    draft = Draft(AGENT, TITLE)
    names = [".devcontainer/devcontainer.json", ".devcontainer.json"]
    names += [f"{inner}/devcontainer.json" for inner in folder.folders(".devcontainer")]
    for name in names:
        node = folder.json(name)
        if node is not None and node.is_map:
            _container(draft, node, folder.at(name))
    folder.unread.clear()
    for name in (".devcontainer/Dockerfile", ".cursor/Dockerfile"):
        text = folder.text(name)
        if text is not None:
            image(draft, text, folder.at(name))
    if any(not grant.quiet for grant in draft.grants):
        draft.own_limits = "unknown: it depends on the agent that runs inside"
        draft.unknown.append("the machine and the user's own mounts")
        yield folder.finish(draft).done()


def image_authority(tree: Tree, path: str) -> Iterator[Authority]:
    """What an image that installs a coding agent gives it; nothing for other images."""
    try:
        data = tree.read(path)
        text = text_of(data, path) if data is not None else ""
    except Unreadable:
        return
    if not _AGENTS.search(text):
        return
    draft = Draft("devcontainer", "An agent in its image", f"in the image {path}")
    image(draft, text, path)
    draft.files.append(path)
    yield draft.done()


def image(draft: Draft, text: str, path: str) -> None:
    """Adds what a Dockerfile gives: root without a password."""
    for number, line in enumerate(text.split("\n"), 1):
        code = line.partition(" #")[0] if not line.lstrip().startswith("#") else ""
        if _SUDO.search(code):
            draft.grants.append(
                Grant(Verb.EVERYTHING, "sudo", "become root inside its image without a password", path, number, Severity.MODERATE, True)
            )
            return


def _container(draft: Draft, node: Node, path: str) -> None:
    arguments = node.get("runArgs")
    for item in arguments.elements() if arguments is not None else ():
        word = item.text or ""
        if (
            word == "--privileged"
            or word.startswith(("--cap-add", "--device", "--security-opt"))
            or word in ("--network=host", "--pid=host", "--userns=host", "--ipc=host")
        ):
            severity = Severity.HIGH if word == "--privileged" else Severity.MODERATE
            draft.grants.append(
                Grant(
                    Verb.EVERYTHING,
                    f"runArgs {word}",
                    f"work in a container started with {word}",
                    path,
                    item.line,
                    severity,
                    word == "--privileged",
                )
            )
    if truth(node, "privileged"):
        draft.grants.append(
            Grant(
                Verb.EVERYTHING,
                "runArgs --privileged",
                "work in a container started with --privileged",
                path,
                node.key_line("privileged"),
                Severity.HIGH,
                True,
            )
        )
    added = node.get("capAdd")
    for item in added.elements() if added is not None else ():
        draft.grants.append(
            Grant(
                Verb.EVERYTHING,
                f"runArgs --cap-add={item.text}",
                f"work in a container with the capability {item.text}",
                path,
                item.line,
                Severity.MODERATE,
            )
        )
    mounts = node.get("mounts")
    for item in mounts.elements() if mounts is not None else ():
        text = item.text or " ".join(value.text or "" for _, value in item.entries())
        if _HOST.search(text):
            draft.grants.append(
                Grant(
                    Verb.SECRET,
                    f"mount {text}",
                    f"use what is mounted from the host ({text[:80]})",
                    path,
                    item.line,
                    Severity.HIGH if "docker.sock" in text else Severity.MODERATE,
                    True,
                )
            )
    features = node.get("features")
    for name, _ in features.entries() if features is not None and features.is_map else ():
        if "docker-outside-of-docker" in name:
            draft.grants.append(
                Grant(
                    Verb.SECRET,
                    "docker-outside-of-docker",
                    "use the host's Docker, which is root on the host",
                    path,
                    features.key_line(name) if features else None,
                    Severity.MODERATE,
                    True,
                )
            )
    for key in (
        "onCreateCommand",
        "updateContentCommand",
        "postCreateCommand",
        "postStartCommand",
        "postAttachCommand",
        "initializeCommand",
    ):
        command = node.get(key)
        if command is not None:
            text = command.text or " ".join(node.text or "" for _, node in command.walk() if node.text)
            on_host = key == "initializeCommand"
            words = f"have `{text[:80]}` run {'on the host' if on_host else 'when the container starts'}"
            draft.grants.append(
                Grant(
                    Verb.CODE,
                    f"{key} {text}",
                    words,
                    path,
                    node.key_line(key),
                    Severity.MODERATE if on_host else Severity.LOW,
                    quiet=not on_host,
                )
            )
    for key in ("containerEnv", "remoteEnv"):
        for name, value in (node.get(key) or Node(0, pairs=())).entries():
            if re.search(r"KEY|TOKEN|SECRET|PASSWORD", name) and "localEnv" in (value.text or ""):
                draft.grants.append(Grant(Verb.SECRET, name, f"see {name} of the host", path, value.line, Severity.MODERATE))
