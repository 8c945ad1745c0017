"""zizmor as an oracle: where a change newly has what one of its audits looks for, Interlock has an effect for it.

zizmor looks at one state, Interlock at the difference of two; so each input is a pair, and what counts is what is found at head and not at base.
The inputs are our own, in the shapes that the audits are about. Runs offline, and only where zizmor is installed.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from checks.detectors import rules
from checks.effects import effects_of
from tests.changes import change_of

ZIZMOR = Path(sysconfig.get_path("scripts")) / "zizmor"

OURS: dict[str, tuple[str, ...]] = {
    "artipacked": ("workflow-inputs/token-left-in-checkout",),
    "cache-poisoning": ("workflow-inputs/release-restores-cache",),
    "dangerous-triggers": ("workflow-triggers/untrusted-event-added", "workflow-triggers/untrusted-code-checked-out"),
    "dependabot-cooldown": ("dependency-bots/waiting-time-cut",),
    "dependabot-execution": ("dependency-bots/runs-foreign-code",),
    "excessive-permissions": (
        "workflow-token/write-granted",
        "workflow-token/write-all",
        "workflow-token/limit-removed",
        "workflow-token/new-job-writes",
    ),
    "github-env": ("workflow-triggers/text-put-into-script",),
    "insecure-commands": ("workflow-inputs/printed-commands-obeyed",),
    "overprovisioned-secrets": ("workflow-secrets/all-secrets-handed-on",),
    "secrets-inherit": ("workflow-secrets/all-secrets-handed-on",),
    "secrets-outside-env": ("workflow-secrets/secret-reaches-job", "workflow-secrets/environment-dropped"),
    "self-hosted-runner": ("workflow-secrets/runs-on-own-machine",),
    "template-injection": ("workflow-triggers/text-put-into-script",),
    "unpinned-images": ("workflow-supply/image-unpinned",),
    "unpinned-uses": ("workflow-supply/pin-loosened", "workflow-supply/unpinned-action-added"),
}
"""Each audit that we answer, and the rules of which one must fire."""

NOT_OURS = {
    "adhoc-packages": "a lint of how packages are installed; what is downloaded and run as it comes is told of scripts",
    "anonymous-definition": "style",
    "archived-uses": "needs to know which repositories are archived",
    "bot-conditions": "a condition that never held is no change; one that is dropped is author-condition-dropped",
    "concurrency-limits": "a lint of what is missing; a deployment that becomes cancellable is told",
    "forbidden-uses": "its owner's own list",
    "github-app": "a lint of an action's inputs; the App's permissions are told where they are written down",
    "hardcoded-container-credentials": "only a value that looks drawn at random is told, by the rules for secrets",
    "impostor-commit": "needs the network",
    "insecure-url-scheme": "a lint of one state",
    "known-vulnerable-actions": "needs the network",
    "misfeature": "style",
    "obfuscation": "a lint of spelling; expressions are evaluated however they are written",
    "ref-confusion": "needs the network",
    "ref-version-mismatch": "a comment beside a pin",
    "self-repository": "style: both ways of naming the own repository mean the same",
    "stale-action-refs": "needs the network",
    "superfluous-actions": "style",
    "typosquat-uses": "an owner that changes is told, whatever its name",
    "undocumented-permissions": "style",
    "unpinned-tools": "a lint of an action's inputs",
    "unredacted-secrets": "a lint of expressions; that the secret reaches the job is told",
    "unsound-condition": "a lint of a condition that was always true; one that becomes so is told of checks",
    "unsound-contains": "a lint of one expression",
    "unsound-ternary": "a lint of one expression",
    "use-trusted-publishing": "advice",
}
"""Each audit that we do not answer, and why."""

SHA = "11bd71901bbe5b1630ceea73d27597364c9af683"
DIGEST = "@sha256:" + "a" * 64
WORKFLOW = ".github/workflows/ci.yml"
ACTION = ".github/actions/tool/action.yml"
DEPENDABOT = ".github/dependabot.yml"


def workflow(
    steps: str, on: str = "push", job: str = "", head: str = "permissions: {}\n", name: str = "build", runner: str = "ubuntu-latest"
) -> str:
    return f"name: ci\non:\n  {on}:\n{head}jobs:\n  {name}:\n    runs-on: {runner}\n{job}    steps:\n{steps}"


RUN = "      - run: make\n"
CLEAN = f"      - uses: actions/checkout@{SHA}\n        with:\n          persist-credentials: false\n"
BOT = "version: 2\nupdates:\n  - package-ecosystem: pip\n    directory: /\n    schedule:\n      interval: weekly\n{more}    cooldown:\n      default-days: {days}\n"
COMPOSITE = "name: tool\ndescription: tool\nruns:\n  using: composite\n  steps:\n{steps}"

PAIRS: dict[str, list[tuple[str, str, str]]] = {
    "artipacked": [
        (WORKFLOW, workflow(CLEAN), workflow(f"      - uses: actions/checkout@{SHA}\n")),
        (WORKFLOW, workflow(CLEAN), workflow(CLEAN.replace("false", "true"))),
        (WORKFLOW, workflow(CLEAN), workflow("      - { uses: actions/checkout@" + SHA + ", with: { fetch-depth: 0 } }\n")),
    ],
    "cache-poisoning": [
        (WORKFLOW, workflow(CLEAN + RUN, "release"), workflow(CLEAN + f"      - uses: actions/cache@{SHA}\n        with:\n          path: x\n          key: x\n" + RUN, "release")),
        (WORKFLOW, workflow(CLEAN + RUN, "release"), workflow(CLEAN + f"      - uses: actions/setup-go@{SHA}\n" + RUN, "release")),
        (WORKFLOW, workflow(CLEAN + "      - run: npm publish\n", "release"), workflow(CLEAN + f"      - uses: actions/setup-node@{SHA}\n        with:\n          cache: npm\n      - run: npm publish\n", "release")),
    ],
    "dangerous-triggers": [
        (WORKFLOW, workflow(RUN, "pull_request", head="permissions:\n  issues: write\n"), workflow(RUN, "pull_request_target", head="permissions:\n  issues: write\n")),
        (WORKFLOW, workflow(RUN), workflow(RUN + "        env:\n          TOKEN: ${{ secrets.TOKEN }}\n", "workflow_run:\n    workflows: [ci]\n    types: [completed]\n  push")),
        (WORKFLOW, workflow(RUN, "push"), workflow(f"      - uses: actions/checkout@{SHA}\n        with:\n          ref: ${{{{ github.event.pull_request.head.sha }}}}\n          persist-credentials: false\n" + RUN, "pull_request_target")),
    ],
    "dependabot-cooldown": [(DEPENDABOT, BOT.format(more="", days=7), BOT.format(more="", days=7).partition("    cooldown")[0])],
    "dependabot-execution": [(DEPENDABOT, BOT.format(more="", days=7), BOT.format(more="    insecure-external-code-execution: allow\n", days=7))],
    "excessive-permissions": [
        (WORKFLOW, workflow(RUN), workflow(RUN, head="permissions: write-all\n")),
        (WORKFLOW, workflow(RUN), workflow(RUN, head="permissions:\n  contents: write\n")),
        (WORKFLOW, workflow(RUN), workflow(RUN, head="")),
    ],
    "github-env": [
        (WORKFLOW, workflow(RUN, "pull_request_target"), workflow('      - run: echo "T=$T" >> $GITHUB_ENV\n        env:\n          T: ${{ github.event.pull_request.title }}\n', "pull_request_target")),
        (WORKFLOW, workflow(RUN, "pull_request_target"), workflow('      - run: echo "$T" >> "$GITHUB_PATH"\n        env:\n          T: ${{ github.head_ref }}\n', "pull_request_target")),
    ],
    "insecure-commands": [
        (WORKFLOW, workflow(RUN), workflow(RUN, job="    env:\n      ACTIONS_ALLOW_UNSECURE_COMMANDS: true\n")),
        (ACTION, COMPOSITE.format(steps="    - run: make\n      shell: bash\n"), COMPOSITE.format(steps="    - run: make\n      shell: bash\n      env:\n        ACTIONS_ALLOW_UNSECURE_COMMANDS: true\n")),
    ],
    "overprovisioned-secrets": [(WORKFLOW, workflow(RUN), workflow(RUN + "        env:\n          ALL: ${{ toJSON(secrets) }}\n"))],
    "secrets-inherit": [
        (
            WORKFLOW,
            f"on: push\npermissions: {{}}\njobs:\n  call:\n    uses: globex/shared/.github/workflows/a.yml@{SHA}\n",
            f"on: push\npermissions: {{}}\njobs:\n  call:\n    uses: globex/shared/.github/workflows/a.yml@{SHA}\n    secrets: inherit\n",
        )
    ],
    "secrets-outside-env": [
        (WORKFLOW, workflow(RUN), workflow(RUN + "        env:\n          TOKEN: ${{ secrets.DEPLOY_TOKEN }}\n")),
        (WORKFLOW, workflow("      - run: ./deploy\n        env:\n          TOKEN: ${{ secrets.DEPLOY_TOKEN }}\n", job="    environment: production\n", name="deploy"), workflow("      - run: ./deploy\n        env:\n          TOKEN: ${{ secrets.DEPLOY_TOKEN }}\n", name="deploy")),
    ],
    "self-hosted-runner": [
        (WORKFLOW, workflow(RUN, "pull_request"), workflow(RUN, "pull_request", runner="self-hosted")),
        (WORKFLOW, workflow(RUN, "pull_request"), workflow(RUN, "pull_request", runner="[self-hosted, linux, x64]")),
        (WORKFLOW, workflow(RUN, "pull_request"), workflow(RUN, "pull_request", runner="{ group: big }")),
    ],
    "template-injection": [
        (WORKFLOW, workflow(RUN, "issues"), workflow("      - run: echo '${{ github.event.issue.title }}'\n", "issues")),
        (WORKFLOW, workflow(RUN, "pull_request"), workflow("      - run: |\n          x=1\n          git switch ${{ github.head_ref }}\n", "pull_request")),
        (WORKFLOW, workflow(RUN, "issue_comment"), workflow(f"      - uses: actions/github-script@{SHA}\n        with:\n          script: console.log(`${{{{ github.event.comment.body }}}}`)\n", "issue_comment")),
        (ACTION, COMPOSITE.format(steps="    - run: make\n      shell: bash\n").replace("runs:", "inputs:\n  name:\n    description: name\nruns:"), COMPOSITE.format(steps="    - run: make ${{ inputs.name }}\n      shell: bash\n").replace("runs:", "inputs:\n  name:\n    description: name\nruns:")),
    ],
    "unpinned-images": [
        (WORKFLOW, workflow(RUN, job=f"    container: debian:12{DIGEST}\n"), workflow(RUN, job="    container: debian:latest\n")),
        (WORKFLOW, workflow(RUN, job=f"    services:\n      db:\n        image: postgres:16{DIGEST}\n"), workflow(RUN, job="    services:\n      db:\n        image: postgres\n")),
        (WORKFLOW, workflow(RUN, job=f"    strategy:\n      matrix:\n        on: ['debian:12{DIGEST}']\n    container: ${{{{ matrix.on }}}}\n"), workflow(RUN, job="    strategy:\n      matrix:\n        on: ['debian:latest']\n    container: ${{ matrix.on }}\n")),
        (ACTION, f"name: x\ndescription: x\nruns:\n  using: docker\n  image: docker://debian:12{DIGEST}\n", "name: x\ndescription: x\nruns:\n  using: docker\n  image: docker://debian:latest\n"),
    ],
    "unpinned-uses": [
        (WORKFLOW, workflow(f"      - uses: globex/tool@{SHA}\n"), workflow("      - uses: globex/tool@main\n")),
        (WORKFLOW, workflow(f"      - uses: globex/tool@{SHA}\n"), workflow("      - uses: globex/tool@v1\n")),
        (WORKFLOW, f"on: push\npermissions: {{}}\njobs:\n  call:\n    uses: globex/shared/.github/workflows/a.yml@{SHA}\n", "on: push\npermissions: {}\njobs:\n  call:\n    uses: globex/shared/.github/workflows/a.yml@main\n"),
        (WORKFLOW, workflow(RUN, head="permissions:\n  packages: write\n"), workflow("      - uses: globex/tool@main\n", head="permissions:\n  packages: write\n")),
    ],
}  # fmt: skip
CASES = [(audit, number) for audit, pairs in PAIRS.items() for number in range(len(pairs))]


@lru_cache(maxsize=2)
def seen(head: bool) -> Mapping[tuple[str, int], frozenset[str]]:
    """What zizmor says of all inputs of one side: its audits by case."""
    with TemporaryDirectory() as folder:
        for audit, number in CASES:
            path, *sides = PAIRS[audit][number]
            file = Path(folder, f"{audit}-{number}", path)
            file.parent.mkdir(parents=True)
            file.write_text(sides[head])
        command = [
            ZIZMOR,
            "--offline",
            "--no-config",
            "--format=json",
            "--no-exit-codes",
            "--quiet",
            "--persona=auditor",
            "--collect=all",
            folder,
        ]
        rows = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    found: dict[tuple[str, int], set[str]] = {case: set() for case in CASES}
    for row in rows:
        for location in row["locations"]:
            for value in location["symbolic"]["key"]["Local"].values():
                if isinstance(value, str) and value.startswith(folder):
                    audit, _, number = value[len(folder) + 1 :].partition("/")[0].rpartition("-")
                    found[audit, int(number)].add(row["ident"])
    return {case: frozenset(idents) for case, idents in found.items()}


oracle = pytest.mark.skipif(not ZIZMOR.exists(), reason="zizmor is not installed")


@oracle
@pytest.mark.parametrize(("audit", "number"), CASES)
def test_what_zizmor_newly_finds_interlock_finds(audit: str, number: int) -> None:
    """The audit is silent at base and speaks at head; then an effect of one of the rules in the table says it of the change."""
    assert audit in seen(True)[audit, number] - seen(False)[audit, number], "the pair does not show what it is for"
    path, base, head = PAIRS[audit][number]
    said = {effect.rule for effect in effects_of(change_of({path: base}, {path: head}))}
    assert said & set(OURS[audit])


@oracle
@pytest.mark.parametrize(("audit", "number"), CASES)
def test_what_zizmor_finds_on_both_sides_is_no_change(audit: str, number: int) -> None:
    """Head against head has no effect, whatever zizmor says of the state."""
    path, _, head = PAIRS[audit][number]
    assert effects_of(change_of({path: head}, {path: head})) == ()


@oracle
def test_every_audit_met_is_in_one_of_the_tables() -> None:
    """No audit that speaks of these inputs is forgotten, and none stands in both tables."""
    met = {ident for side in (False, True) for idents in seen(side).values() for ident in idents}
    assert met <= set(OURS) | set(NOT_OURS)
    assert not set(OURS) & set(NOT_OURS)


def test_the_table_names_rules_that_exist() -> None:
    """Each audit that is ours names registered rules and has a pair."""
    assert {rule for named in OURS.values() for rule in named} <= set(rules())
    assert set(PAIRS) == set(OURS)
