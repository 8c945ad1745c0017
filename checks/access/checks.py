"""What counts as a check: commands and actions that fail when the code is not right.

Four kinds: tests, rules of style and types, builds, and scanners; signing and provenance stand beside them. Sources: the tools' own manuals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from checks.access.workflows import PRIVILEGED, deploys
from checks.model import Unreadable
from checks.readers.shell import Command, script
from checks.readers.workflow import Job, Step, Workflow

TEST, STYLE, BUILD, SCAN, SIGN, OTHER = "tests", "style", "build", "scanner", "signing", "check"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a step checks."""

    kind: str
    key: str
    """The tool with what it is pointed at, without flags: equal for the same check elsewhere."""
    tool: str
    line: int
    soft: str = ""
    """Why its failure does not count."""
    flags: frozenset[str] = frozenset()


_TOOLS: dict[str, str] = {
    **dict.fromkeys(
        ("pytest", "py.test", "tox", "nox", "jest", "vitest", "mocha", "ava", "karma", "rspec", "phpunit", "pest", "ctest", "gotestsum", "ginkgo", "bats", "playwright",
         "cypress", "newman", "k6", "nextest", "behave", "robot", "molecule", "terratest", "kuttl", "chainsaw", "sonobuoy", "unittest", "testem", "wdio", "nightwatch", "stestr", "xctest", "busted"),
        TEST,
    ),
    **dict.fromkeys(
        ("ruff", "flake8", "pylint", "mypy", "pyright", "basedpyright", "ty", "black", "isort", "eslint", "tsc", "vue-tsc", "prettier", "biome", "oxlint", "stylelint", "standard", "xo",
         "golangci-lint", "staticcheck", "gofmt", "gofumpt", "revive", "shellcheck", "shfmt", "actionlint", "yamllint", "hadolint", "markdownlint", "markdownlint-cli2", "rubocop",
         "standardrb", "erb_lint", "erblint", "phpcs", "phpstan", "psalm", "ktlint", "detekt", "swiftlint", "swiftformat", "clang-format", "clang-tidy", "buf", "tflint", "kubeconform", "kubeval",
         "kube-linter", "spectral", "commitlint", "codespell", "typos", "cspell", "pre-commit", "lefthook", "prek", "knip", "depcheck", "deptry", "vulture", "pydocstyle", "interrogate", "sqlfluff",
         "djlint", "ansible-lint", "cfn-lint", "dprint", "taplo", "editorconfig-checker", "ls-lint", "jscpd", "syncpack", "manypkg", "publint", "attw", "lychee", "vale", "doctoc", "gci", "goimports",
         "slither", "solhint", "credo", "dialyzer", "hlint", "scalafmt", "checkstyle", "danger"),
        STYLE,
    ),
    **dict.fromkeys(
        ("trivy", "grype", "snyk", "semgrep", "bandit", "safety", "pip-audit", "gosec", "govulncheck", "brakeman", "bundler-audit", "bundle-audit", "checkov", "tfsec", "terrascan", "kics",
         "gitleaks", "trufflehog", "detect-secrets", "osv-scanner", "zizmor", "poutine", "octoscan", "conftest", "opa", "kubescape", "polaris", "codeql", "sonar-scanner", "dockle", "nancy",
         "cargo-audit", "cargo-deny", "npm-audit", "license-checker", "licensed", "reuse", "scorecard", "ggshield", "talisman", "codecov", "coveralls", "infracost", "driftctl", "regula", "squawk"),
        SCAN,
    ),
    **dict.fromkeys(("cosign", "syft", "slsa-verifier", "gpg", "codesign", "notation", "witness", "signtool"), SIGN),
}  # fmt: skip
"""Tools whose being run is a check, whatever their arguments."""

_SUB: dict[str, dict[str, str]] = {
    "go": {"test": TEST, "vet": STYLE, "build": BUILD},
    "cargo": {
        "test": TEST, "nextest": TEST, "clippy": STYLE, "fmt": STYLE, "check": BUILD, "build": BUILD, "audit": SCAN, "deny": SCAN, "hack": TEST, "miri": TEST, "doc": BUILD,
        "machete": STYLE, "udeps": STYLE, "semver-checks": STYLE, "llvm-cov": TEST, "tarpaulin": TEST,
    },
    "mvn": {"test": TEST, "verify": TEST, "package": BUILD, "compile": BUILD, "install": BUILD},
    "dotnet": {"test": TEST, "build": BUILD, "format": STYLE},
    "swift": {"test": TEST, "build": BUILD},
    "xcodebuild": {"test": TEST, "build": BUILD},
    "mix": {"test": TEST, "credo": STYLE, "dialyzer": STYLE, "format": STYLE},
    "flutter": {"test": TEST, "analyze": STYLE, "build": BUILD},
    "dart": {"test": TEST, "analyze": STYLE, "format": STYLE},
    "deno": {"test": TEST, "lint": STYLE, "check": STYLE, "fmt": STYLE},
    "terraform": {"validate": STYLE, "fmt": STYLE, "plan": BUILD, "test": TEST},
    "tofu": {"validate": STYLE, "fmt": STYLE, "plan": BUILD, "test": TEST},
    "helm": {"lint": STYLE, "template": BUILD, "unittest": TEST, "test": TEST},
    "ct": {"lint": STYLE, "install": TEST},
    "rails": {"test": TEST, "test:system": TEST},
    "npm": {"test": TEST, "t": TEST, "audit": SCAN},
    "pnpm": {"audit": SCAN},
    "yarn": {"audit": SCAN, "npm": SCAN},
    "docker": {"build": BUILD, "scout": SCAN},
    "git": {"diff": STYLE},
    "nx": {"test": TEST, "lint": STYLE, "affected": TEST, "run-many": TEST},
    "turbo": {"test": TEST, "lint": STYLE},
    "uv": {"build": BUILD, "lock": STYLE},
    "poetry": {"check": STYLE},
    "hatch": {"test": TEST, "fmt": STYLE},
    "ansible-playbook": {"--syntax-check": STYLE},
    "bundle": {"audit": SCAN},
    "composer": {"test": TEST, "validate": STYLE, "audit": SCAN},
    "bazel": {"test": TEST, "build": BUILD},
    "bazelisk": {"test": TEST, "build": BUILD},
    "zig": {"test": TEST, "build": BUILD},
    "forge": {"test": TEST, "fmt": STYLE},
    "hardhat": {"test": TEST},
}  # fmt: skip
"""Tools that do many things: their first argument decides."""

RUNNERS = frozenset({"npm", "pnpm", "yarn", "bun", "make", "gmake", "task", "just", "rake", "gradle", "gradlew", "mvnw", "mage", "invoke", "inv", "poe", "pdm", "rush", "lerna", "moon", "mise", "earthly", "dagger", "turbo", "nx", "hatch", "deno", "composer", "sbt", "lein", "script", "melos", "ant"})  # fmt: skip
"""Programs that run tasks which the repository names itself."""
"""Runners of named tasks: the task's name decides."""

_NAMED = (
    (re.compile(r"(?<![a-z])(?:unit|e2e|integration|smoke|spec|specs|acceptance|conformance|regression|coverage|tests?|testing|test-?\w*|benchmarks?)(?![a-z])", re.I), TEST),
    (re.compile(r"(?<![a-z])(?:scan|scanner|audit|vuln\w*|sast|codeql|secrets?-scan\w*|security|osv|trivy|snyk|license-check)(?![a-z])", re.I), SCAN),
    (re.compile(r"(?<![a-z])(?:lint\w*|typecheck|type-check|types|check\w*|verify\w*|validate\w*|validation|format-check|fmt|format|vet|static|analy[sz]e|analysis|style|consistency|preflight|tidy)(?![a-z])", re.I), STYLE),
    (re.compile(r"(?<![a-z])(?:build|compile|ci|assemble)(?![a-z])", re.I), BUILD),
)  # fmt: skip

_ACTIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"github/codeql-action/(?:analyze|upload-sarif)|actions/dependency-review-action|aquasecurity/(?:trivy|tfsec)|gitleaks/|trufflesecurity/|zricethezav/gitleaks|ossf/scorecard-action|snyk/|"
                r"google/osv-scanner|anchore/scan-action|bridgecrewio/checkov|checkmarx/|sonarsource/|semgrep/|returntocorp/semgrep|docker/scout|zizmorcore/|codecov/|coverallsapp/|fossa|"
                r"securego/gosec|golang/govulncheck|pypa/gh-action-pip-audit|rustsec/|embarkstudios/cargo-deny|boostsecurityio/|kicsio|stackrox/kube-linter|apisec|veracode/|dependency-check|socketdev/|woodruffw/zizmor"), SCAN),
    (re.compile(r"golangci/|reviewdog/|super-linter/|github/super-linter|pre-commit/action|psf/black|chartboost/ruff|astral-sh/ruff-action|isort/|crate-ci/typos|codespell-project/|"
                r"ludeeus/action-shellcheck|hadolint/|ibiqlik/action-yamllint|davidanson/markdownlint|wagoid/commitlint|amannn/action-semantic-pull-request|lycheeverse/|terraform-linters/|"
                r"actions-rs/clippy|raven-actions/actionlint|devops-actions/actionlint|rhysd/actionlint|editorconfig-checker|biomejs/setup-biome|bufbuild/(?:buf-lint|buf-breaking|buf-action)|streetsidesoftware/cspell|"
                r"helm/chart-testing|danger/|oxsecurity/megalinter|tj-actions/verify-changed|denoland/setup-deno|gradle/wrapper-validation|gradle/actions/wrapper-validation"), STYLE),
    (re.compile(r"cypress-io/|enricomi/publish-unit-test|dorny/test-reporter|mikepenz/action-junit|re-actors/alls-green|microsoft/playwright|reactivecircus/android-emulator|coactions/dynamic-matrix|pact-foundation/"), TEST),
    (re.compile(r"actions/attest|sigstore/|slsa-framework/|anchore/sbom-action|advanced-security/sbom|cyclonedx/|gossts/|azure/trusted-signing|signpath/"), SIGN),
)  # fmt: skip


def action_kind(uses: str) -> str | None:
    """The kind of check that an action is, None where it is none."""
    name = _IMAGE.sub("", uses.lower())
    return next((kind for pattern, kind in _ACTIONS if pattern.match(name)), None)


_IMAGE = re.compile(r"^docker:/+(?:(?:docker\.io|ghcr\.io|quay\.io)/)?")
"""What stands before the publisher where an action is an image: `docker://rhysd/actionlint:1.7.7`."""


_RUNNERS = frozenset({"npx", "bunx", "pnpx", "uvx", "pipx", "bundle", "poetry", "uv", "pdm", "rye", "pipenv", "hatch", "yarn", "pnpm", "bun", "npm", "conda", "mamba", "corepack", "rtx", "mise", "nix", "devbox", "doppler", "nix-shell", "dotenvx", "wireit", "coverage", "go", "make"})  # fmt: skip


def inner_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """The tool that a runner starts: `uv run pytest` → `pytest`, `python -m pytest` → `pytest`, `bundle exec rspec` → `rspec`."""
    name = words[0].rpartition("/")[2]
    rest = list(words[1:])
    if re.fullmatch(r"python[\d.]*|py", name) and "-m" in rest:
        at = rest.index("-m")
        return tuple(rest[at + 1 :])
    if name in ("npx", "bunx", "pnpx", "uvx"):
        while rest and rest[0].startswith("-"):
            rest.pop(0)
        return tuple(rest)
    if name in _RUNNERS and rest:
        plain = [word for word in rest if not word.startswith("-")]
        if plain[:1] and plain[0] in ("run", "exec", "dlx", "x", "tool") and len(plain) > 1 and name not in ("npm", "make", "go"):
            at = rest.index(plain[1])
            inner = tuple(rest[at:])
            if inner[0].rpartition("/")[2] in _TOOLS or inner[0].startswith("python") or name in ("bundle", "uv", "poetry", "coverage"):
                return inner
    return ()


def command_check(command: Command) -> Check | None:
    """What a command checks, None where it checks nothing that is known."""
    words = command.words
    if not words or command.substituted:
        return None
    inner = inner_words(words)
    if inner:
        found = _known(inner)
        return _made(command, inner, found) if found else None
    found = _known(words)
    return _made(command, words, found) if found else None


_NOT_RUN = frozenset({"--version", "-V", "--help", "version", "help", "install", "config", "login", "init", "list", "show"})


def _known(words: tuple[str, ...]) -> str | None:
    name = words[0].rpartition("/")[2].lower()
    if len(words) > 1 and words[1] in _NOT_RUN and name not in RUNNERS and name not in ("mvn", "playwright"):
        return None
    if name == "playwright" and words[1:2] != ("test",):
        return None  # it installs browsers, shows reports or tells its version
    if (
        name in ("cosign", "gpg", "codesign", "syft")
        and not {"sign", "attest", "--sign", "--detach-sign", "-s", "sign-blob", "--armor"} & set(words[1:])
        and name != "syft"
    ):
        return None
    if name in _TOOLS:
        return _TOOLS[name]
    plain = [word for word in words[1:] if not word.startswith("-")]
    sub = _SUB.get(name, {})
    for word in plain[:2] if name in ("xcodebuild", "mvn", "bazel", "nx", "turbo") else plain[:1]:
        if word in sub:
            if name == "git":
                return STYLE if {"--exit-code", "--quiet"} & set(words) else None
            return sub[word]
    if name == "ansible-playbook" and "--syntax-check" in words:
        return STYLE
    if name in RUNNERS:
        for word in plain:
            if word in ("run", "workspace", "exec", "affected", "-C") or "=" in word:
                continue
            if word in ("install", "ci", "i", "add", "publish", "pack", "version"):
                return None
            if kind := _named(word):
                return kind
        return _named(name) if not plain and name in ("tox",) else None
    if name in ("python", "python3", "node", "ruby", "bash", "sh", "deno", "bun", "tsx", "php") and plain:
        name = plain[0]
        if "/" not in name and "." not in name:
            return None
        return _named(name.rpartition("/")[2])
    if words[0].startswith(("./", "../", "scripts/", "hack/", "bin/", ".github/", "tools/", "ci/", "$")) and "/" in words[0]:
        return _named(name)
    return None


def _named(word: str) -> str | None:
    return next((kind for pattern, kind in _NAMED if pattern.search(word.replace("_", "-"))), None)


def _made(command: Command, words: tuple[str, ...], kind: str) -> Check:
    tool = words[0].rpartition("/")[2]
    key = " ".join([tool, *(word for word in words[1:] if not word.startswith("-"))])
    return Check(kind, key, tool, command.line, command.soft, frozenset(word for word in command.words[1:] if word.startswith("-")))


def checks_in(step: Step, path: str) -> Iterator[Check]:
    """All that a step checks."""
    if step.uses:
        kind = action_kind(step.uses)
        if kind:
            extra = step.input("scan-type") or step.input("scan-ref") or step.input("languages") or step.input("working-directory") or ""
            name = re.sub(r":[^/:]*$", "", step.action) if step.uses.startswith("docker://") else step.action
            yield Check(kind, f"{name} {extra}".strip(), name, step.line)
        return
    if not step.run or step.shell.startswith(("python", "node")):
        return
    try:
        commands = script(step.run, path, step.run_line).commands
    except Unreadable:
        return
    folder = f" in {step.directory}" if step.directory else ""
    for command in commands:
        found = command_check(command)
        if found is not None:
            yield Check(found.kind, found.key + folder, found.tool, found.line, found.soft, found.flags)


_CHECK_EVENTS = frozenset({"pull_request", "pull_request_target", "merge_group", "push", "schedule", "workflow_call"})
_CHORE = re.compile(r"(?<![a-z])(?:deploy\w*|release\w*|publish\w*|stale|label\w*|triage|greet\w*|welcome|bot|cleanup|clean-up|cla|backport|cherry-?pick|sync|mirror|notify|notification\w*|dependabot|automerge|auto-merge|"
                    r"changelog|comment\w*|assign\w*|close\w*|lock|preview|promote|nightly-release|tag|bump|update\w*|upgrade\w*|docs?|pages|upload\w*|prune|rebase|fix\w*|autofix)(?![a-z])", re.I)  # fmt: skip


_BOT = re.compile(
    r"(?<![a-z])(?:bot|stale|triage|labell?er|backport|cherry-?pick|greetings?|cla|automerge|auto-merge|dependabot)(?![a-z])", re.I
)


def ships(job: Job) -> bool:
    """Whether the job itself changes something outside, its environment's name left aside."""
    return deploys(replace(job, environment=""))


def is_check(file: Workflow, job: Job) -> str | None:
    """The kind of check a job is, None where it is a deployment, a chore or runs only by hand."""
    if not file.action and not file.events & _CHECK_EVENTS:
        return None
    if _BOT.search(file.path.rpartition("/")[2]) or _BOT.search(file.name):
        return None
    found = [item.kind for step in job.steps for item in checks_in(step, file.path)]
    label = f"{job.id} {job.name}"
    kinds = [kind for kind in (TEST, SCAN, STYLE) if kind in found]
    if kinds and not (job.environment and ships(job)) and not _CHORE.search(label):
        return kinds[0]
    if deploys(job) or _CHORE.search(label):
        return None
    own_name = f"{file.path.rpartition('/')[2]} {file.name}"
    if (job.outputs and not found) or (_CHORE.search(own_name) and not found):
        return None  # it works something out for other jobs, or is a chore by its file's name
    if file.events & {"pull_request", "merge_group"} or (not file.events & PRIVILEGED and file.events & {"push", "workflow_call"}):
        named = _named(job.id) or _named(job.name) or (_named(job.uses.rpartition("/")[2].partition("@")[0]) if job.uses else None)
        if named in (TEST, SCAN, STYLE):
            return named
        if named is None and not found and len(file.jobs) == 1 and "pull_request" in file.events:
            by_file = _named(own_name)
            return by_file if by_file in (TEST, SCAN, STYLE) else None
        if BUILD in (named, *found) and file.events & {"pull_request", "merge_group"}:
            return BUILD
    return None
