"""The register of detectors: which module is woken by which paths.

One line a detector. A pattern is a shell glob on the whole path, case ignored, where `*` does not cross `/` and `**/` means any folder or none.
"""

from __future__ import annotations

import importlib

from checks.detectors.base import Detector, Rule

_MIGRATIONS = (
    "*.sql",
    "**/*migrat*/**/*.{py,rb,ts,js,mjs,cjs,exs,php}",
    "**/*versions/*.py",
    "**/alembic/**/*.py",
    "**/*{changelog,changeset,liquibase}*.{xml,yml,yaml}",
    "**/*{changelog,changeset,liquibase}*/**/*.{xml,yml,yaml}",
)
"""Every path that can be a migration."""
_MANIFESTS = ("*.{yml,yaml}", "**/{k8s,kubernetes,manifests}/**/*.json")
"""Every path that can hold Kubernetes objects."""

_TERRAFORM = ("*.tf", "*.tofu", "*.tf.json", "*.tofu.json", "*.tfvars", "*.tfvars.json")
_TEMPLATES = ("**/*.{yml,yaml,json,template}", "**/*.{yml,yaml,json,template}.j2")

_TESTS = (
    "test_*.py", "*_{test,tests}.{py,go,rb,rs,php}", "{test,tests}.py", "*_spec.rb", "test_*.rb", "*.rs",
    "*.{test,spec,e2e,cy,unit,integration,eval,evals}.{js,jsx,ts,tsx,mjs,cjs,mts,cts}",
    "*{Test,Tests,TestCase,IT,Spec,Specs}.{java,kt,kts,cs,swift,php}",
    "**/{test,tests,__tests__,spec,specs,e2e}/**/*.{js,jsx,ts,tsx,mjs,cjs,mts,cts,py,rb,rs,kt,java,cs,swift,php}",
)  # fmt: skip
"""Files of test cases; Rust keeps them beside the code."""

_REPOSITORY = (
    "CODEOWNERS", ".github/settings.{yml,yaml}", "**/*ruleset*.json", "**/*ruleset*/*.json", "{.,}mergify.{yml,yaml}", ".mergify/config.yml",
    "{.,}kodiak.toml", "{.,}bulldozer.{yml,yaml}", ".policy.{yml,yaml}", "policy-bot.yml", "*.rego", "*.sentinel", "sentinel.hcl",
    "OWNERS", "OWNERS_ALIASES",
    "{org,orgs,peribolos,members,team,teams}.{yml,yaml}", "**/{org,orgs,teams,permissions}/**/*.{yml,yaml}",
    "app.{yml,yaml}", "app-manifest.*", "{slack-,slack_,}manifest.{json,yml,yaml}",
)  # fmt: skip
"""Files in which a repository keeps its own rules."""

_PACKAGES = (
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "pnpm-workspace.{yaml,yml}", "bun.lock", ".npmrc", ".yarnrc{,.yml}",
    "bunfig.toml", "pyproject.toml", "*requirements*.{txt,in}", "**/requirements/*.{txt,in}", "uv.lock", "uv.toml", "poetry.lock", "pdm.lock", ".pypirc",
    "pip.{conf,ini}", "go.mod", "go.sum", "go.env", "Cargo.{toml,lock}", "**/.cargo/config{,.toml}", "Gemfile{,.lock}", "composer.{json,lock}", "pom.xml", "*.gradle{,.kts}",
)  # fmt: skip
"""Manifests, locks and settings of package managers."""

_CHECKERS = (
    "pyproject.toml", ".coveragerc", "setup.cfg", "tox.ini", "{.,}mypy.ini", "pytest.ini", ".flake8", "{.,}ruff.toml", "package.json", "tsconfig*.json", "jest.config.*",
    "{vite,vitest}.config.*", ".nycrc{,.json,.yml,.yaml}", ".c8rc{,.json}", "{.,}codecov.{yml,yaml}", ".eslintrc*", "eslint.config.*", ".oxlintrc.json", "biome.{json,jsonc}",
    ".golangci.{yml,yaml}", ".rubocop*.yml", "sonar-project.properties", "*.gradle{,.kts}", ".trivyignore{,.yaml}", ".gitleaksignore", ".semgrepignore", "{.,}gitleaks.toml",
    ".snyk", ".grype.{yml,yaml}", ".checkov.{yml,yaml}", "osv-scanner.toml", "**/{.,}zizmor.{yml,yaml}", ".hadolint.{yml,yaml}", ".kube-linter.{yml,yaml}", "audit-ci.json{,c}",
    "{.,}pylintrc", "phpstan*.neon{,.dist}", "trivy.{yml,yaml}", "codeql-config*.{yml,yaml}", "**/codeql/*.{yml,yaml}", "dependency-review-config*.{yml,yaml}", ".gitguardian.{yml,yaml}",
    "{.,}bandit.{yml,yaml}", ".bandit", "{.,}mega-linter.{yml,yaml}", ".safety-policy.{yml,yaml}", ".bundler-audit.{yml,yaml}", "brakeman.ignore", ".secrets.baseline",
    "{.,}kics*.{yml,yaml,json}", ".ansible-lint{,.yml,.yaml}", "{deny,audit}.toml",
)  # fmt: skip
"""Configuration of test runners, linters, type checkers and scanners."""

_APPLICATIONS = (
    "AndroidManifest.xml", "network_security_config.xml", "*.entitlements", "*Info.plist", "manifest.{,v2.,v3.,chrome.,firefox.,base.}json", "**/capabilities/*.json",
    "tauri.conf.json", "snapcraft.{yaml,yml}", "**/flatpak/**/*.{json,yml,yaml}", "{org,com,io,net,dev,app}.*.*.{json,yml,yaml}",
    "**/{electron,main,desktop}/**/*.{js,ts,mjs,cjs}", "{main,window,background,electron*}.{js,ts,mjs,cjs}",
)  # fmt: skip
"""Manifests of applications for phones, browsers and desktops."""

_KEYS_AND_LISTS = (
    "authorized_keys*",
    "**/{ssh,keys,ssh_keys,ssh-keys}/*.pub",
    "*.{yml,yaml,json,toml,ini,cfg,conf,pp,nix,sh,tpl,tftpl,j2,erb,ign,bu}",
)
"""Files that say who may log in."""

REGISTER: dict[str, tuple[str, ...]] = {
    "agent_instructions": (
        "**/{AGENTS,AGENT,CLAUDE,CLAUDE.local,GEMINI,QWEN,WARP,CRUSH,CONVENTIONS,.cursorrules,.windsurfrules,.goosehints,.clinerules}{,.md}",
        "**/{.cursor,.windsurf,.continue,.clinerules,.roo,.kiro,.claude,.codex,.gemini,.agents,.openhands,.amazonq,.devin}/**/*.{md,mdc,txt,xml}",
        ".github/{copilot-instructions.md,instructions/**,prompts/**,agents/**,chatmodes/**}",
    ),
    "agent_permissions": (
        "**/.{claude,codex,gemini,cursor,kiro,amazonq,windsurf,devin,roo,openhands,amp,opencode,goose,cline,continue,vscode,devcontainer}/**",
        "**/{.mcp.json,.roomodes,.aider.conf.yml,opencode.json,opencode.jsonc,crush.json,.crush.json,crushrc,.crushrc,.devcontainer.json}",
        ".github/workflows/*.{yml,yaml,md}",
        ".github/{agents,hooks,copilot}/**",
        ".github/actions/**/action.{yml,yaml}",
        ".github/mcp.json",
        "**/{Dockerfile,Dockerfile.*,*.Dockerfile}",
        "{scripts,script,tools,bin,hack,hooks,.hooks}/**.{sh,py,js,mjs,ts}",
    ),
    "gate": (
        ".github/interlock.yml",
        ".github/workflows/*.{yml,yaml}",
        "**/action.{yml,yaml}",
        "*.{sh,bash,mk,pl}",
        "{Makefile,makefile,GNUmakefile}",
        "**/{bin,script,scripts,hack,ci,.ci,tools,.github}/**.{py,js,mjs,ts,rb}",
    ),
    "hidden": ("**",),
    "tests_removed": _TESTS,
    "tests_skipped": _TESTS,
    "secrets": ("**",),
    "app_guards": ("*.{py,js,jsx,ts,tsx,mjs,cjs,mts,cts,go,java,rb}",),
    "repository_rules": _REPOSITORY,
    "people": (*_KEYS_AND_LISTS, *_TERRAFORM),
    "dependencies": _PACKAGES,
    "check_settings": _CHECKERS,
    "manifests": _APPLICATIONS,
    "terraform": _TERRAFORM,
    "terraform_protection": _TERRAFORM,
    "terraform_exposure": _TERRAFORM,
    "terraform_state": _TERRAFORM,
    "terraform_execution": _TERRAFORM,
    "terraform_github": _TERRAFORM,
    "terraform_iam": _TERRAFORM,
    "workflow_token": (".github/workflows/*.{yml,yaml}",),
    "cloudformation": _TEMPLATES,
    "cloudformation_access": _TEMPLATES,
    "cdk": ("*.{py,ts,js,mts,cts,mjs,cjs}",),
    "serverless": ("**/serverless*.{yml,yaml,json}",),
    "iam_policy": ("**/*.json", "**/*.json.{tpl,tftpl,tmpl}"),
    "workflow_triggers": (".github/workflows/*.{yml,yaml}", "**/action.{yml,yaml}"),
    "migrations": (*_MIGRATIONS, "**/meta/_journal.json"),
    "kubernetes": _MANIFESTS,
    "kubernetes_access": _MANIFESTS,
    "kubernetes_security": _MANIFESTS,
    "gitops": (*_MANIFESTS, "**/helmfile*.gotmpl", "**/helmfile.d/*"),
    "rollouts": _MANIFESTS,
    "supabase": ("**/supabase/config.toml",),
    "settings": (".env", ".env.*", "*.env", "*.properties"),
    "go_migrations": ("**/*{migrat,goose}*/**/*.go", "*migrat*.go"),
    "workflow_inputs": (".github/workflows/*.{yml,yaml}", "**/action.{yml,yaml}"),
    "dns": (
        "*.zone",
        "db.*.*",
        "db.{root,local,empty,0,127,255,rpz}",
        "**/{zones,octodns,bind,named,dns}/**/*.{zone,db,yaml,yml}",
        "**/{zones,bind}/*",
        "*dnsconfig*.js",
        "**/dnscontrol/**/*.js",
        "*zone*.{yaml,yml}",
    ),
    "kubernetes_lifecycle": _MANIFESTS,
    "google_access": (
        "**/*{iam,polic,bind,member,access,gcp,google}*.{yml,yaml,json}",
        "**/*{iam,polic,bind,member,access,gcp,google}*/**/*.{yml,yaml}",
    ),
    "helm_values": ("*.{yml,yaml}",),
    "ansible": ("**/{tasks,handlers,playbooks,plays,ansible}/**/*.{yml,yaml}", "*{playbook,site,play}*.{yml,yaml}"),
    "pulumi": ("*.{ts,mts,js,mjs,py}", "Pulumi.*.{yml,yaml}"),
    "pulumi_access": ("*.{ts,mts,js,mjs,py}",),
    "bicep": ("*.bicep", "*{template,deploy,arm}*.json", "**/{arm,templates,azure}*/**/*.json"),
    "database_access": (*_MIGRATIONS, "**/metadata/**/tables/*.{yaml,yml}", "**/metadata/tables.{yaml,yml}"),
    "database_locks": _MIGRATIONS,
    "schema_code": (
        "*.prisma",
        "*.{py,rb,js,mjs,cjs,ts,mts,cts,php,ex,exs,sh,bash}",
        "{Procfile,package.json}",
        "Dockerfile*",
        "entrypoint*",
        "{application,bootstrap,hibernate,persistence}*.{properties,yml,yaml}",
    ),
    "alerting": (
        "**/*{alert,rule,monitor,prometheus,grafana,datadog,slo}*/**/*.{yml,yaml,json}",
        "*{alert,rule,monitor,prometheus,slo}*.{yml,yaml,json}",
    ),
    "compose": ("*compose*.{yml,yaml}",),
    "services": (
        "*sudoers*",
        "**/sudoers.d/*",
        "*.{service,socket}",
        "**/*.service.d/*.conf",
        "*{nginx,httpd,apache,haproxy}*.{conf,cfg}*",
        ".htaccess",
        "Caddyfile*",
        "**/{nginx,sites-available,sites-enabled,haproxy,apache,apache2,httpd}/**/*.{conf,cfg}",
        "*crontab*",
        "**/cron.d/*",
    ),
    "firewall_rules": (
        "*ip{,6}tables*",
        "**/iptables/**",
        "*rules.v{4,6}{,.j2,.tpl}",
        "*.nft{,.j2,.tpl}",
        "*nftables*.conf*",
        "**/nftables.d/*",
        "**/ufw/*.rules*",
        "**/default/ufw",
    ),
    "dockerfile": ("{Dockerfile,Containerfile}", "{Dockerfile,Containerfile}.*", "*.{dockerfile,containerfile}"),
    "api_contracts": (
        "*.{proto,graphql,graphqls,gql}",
        "*{openapi,swagger,asyncapi,api,apis,spec,oas}*.{yaml,yml,json}",
        "**/{openapi,swagger,asyncapi,api,apis,oas,spec}/**/*.{yaml,yml,json}",
    ),
    "feature_flags": (
        "*{flag,toggle,unleash,flipt,features,launchdarkly}*.{json,yaml,yml}",
        "**/{flags,feature-flags,feature_flags,featureflags,toggles,flipt,flagd}/**/*.{json,yaml,yml}",
    ),
    "workflow_secrets": (".github/workflows/*.{yml,yaml}",),
    "workflow_supply": (".github/workflows/*.{yml,yaml}", "**/action.{yml,yaml}"),
    "workflow_checks": (".github/workflows/*.{yml,yaml}", "**/action.{yml,yaml}"),
    "dependency_bots": (".github/dependabot.{yml,yaml}", "{.github/,.gitlab/,}renovate.{json,json5}", "**/.renovaterc{,.json,.json5}"),
    "other_ci": (
        "**/{.gitlab-ci,.travis,.drone,bitbucket-pipelines,appveyor,.cirrus,.pre-commit-config,lefthook,.lefthook}.{yml,yaml}",
        "**/{azure-pipelines,cloudbuild,buildspec}*.{yml,yaml}",
        "**/{jenkinsfile*,*.jenkinsfile}",
        ".gitlab/ci/**",
        "{.circleci,.buildkite,.woodpecker,.azure-pipelines,.husky}/**",
    ),
    "scripts": (
        "**/*.{sh,bash,zsh,ksh,mk}",
        "**/{makefile,gnumakefile,makefile.*,package.json}",
        "**/{dockerfile*,*.dockerfile,containerfile*}",
        ".github/workflows/*.{yml,yaml}",
        "**/action.{yml,yaml}",
        "**/{bin,script,scripts,hack,ci,.ci,tools,deploy,.husky}/*",
    ),
}


def load(name: str) -> Detector:
    """The detector of the module `name`, imported on first use."""
    detector: Detector = importlib.import_module(f"checks.detectors.{name}").DETECTOR
    return detector


def every() -> tuple[Detector, ...]:
    """All detectors in the register's order: imports them all."""
    return tuple(load(name) for name in REGISTER)


def rules() -> dict[str, tuple[Detector, Rule]]:
    """Every rule by its id."""
    return {rule.id: (detector, rule) for detector in every() for rule in detector.rules}
