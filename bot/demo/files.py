"""The files of the demonstration: a small shop's infrastructure before the agent's change, with it, and after the answer to the red check."""

from __future__ import annotations

DATABASE = """\
resource "aws_db_instance" "orders" {
  identifier           = "shop-orders"
  engine               = "postgres"
  instance_class       = "db.m6g.large"
  allocated_storage    = 200
  deletion_protection  = true
  skip_final_snapshot  = false
  backup_retention_period = 14

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_elasticache_replication_group" "sessions" {
  replication_group_id = "shop-sessions"
  description          = "Sessions of the shop"
  node_type            = "cache.m6g.large"
  engine               = "redis"
}

resource "aws_lb_target_group" "web" {
  name     = "shop-web"
  port     = 8080
  protocol = "HTTP"
  vpc_id   = "vpc-0a11ce"
}
"""

RECREATED = """\
# The environment is recreated from the module, so that the drift goes away.
module "environment" {
  source = "../modules/environment"
}

resource "aws_elasticache_replication_group" "sessions" {
  replication_group_id = "shop-sessions-v2"
  description          = "Sessions of the shop"
  node_type            = "cache.m6g.large"
  engine               = "redis"
}

resource "aws_lb_target_group" "web" {
  name     = "shop-web"
  port     = 8443
  protocol = "HTTP"
  vpc_id   = "vpc-0a11ce"
}
"""

KEPT = """\
# The database keeps its state: Terraform lets go of it here and it stays as it is.
removed {
  from = aws_db_instance.orders

  lifecycle {
    destroy = false
  }
}

module "environment" {
  source = "../modules/environment"
}

resource "aws_elasticache_replication_group" "sessions" {
  replication_group_id = "shop-sessions"
  description          = "Sessions of the shop"
  node_type            = "cache.m6g.large"
  engine               = "redis"
}

resource "aws_lb_target_group" "web" {
  name     = "shop-web"
  port     = 8443
  protocol = "HTTP"
  vpc_id   = "vpc-0a11ce"
}
"""

MODULE = """\
variable "name" {
  type    = string
  default = "shop"
}

resource "aws_cloudwatch_log_group" "app" {
  name              = "/shop/app"
  retention_in_days = 30
}
"""

PLAN_WORKFLOW = """\
name: plan
on:
  pull_request:
    paths: ["infra/**"]
permissions:
  contents: read
jobs:
  plan:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
      - run: terraform -chdir=infra/prod plan -out=plan.out
      - run: terraform -chdir=infra/prod show -json plan.out | interlock plan digest - > digest.json
      - uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02
        with: {name: interlock-plan, path: digest.json}
"""

AGENT_WORKFLOW = """\
name: agent
on:
  issues:
    types: [labeled]
permissions:
  contents: read
jobs:
  claude:
    runs-on: ubuntu-latest
    steps:
      - uses: anthropics/claude-code-action@8a1c4371755898f67cd97006ba7c97702d5fc4bf
"""

POLICY = """\
version: 1
mode: enforce
evidence:
  plan-verified:
    app: github-actions
    workflow: .github/workflows/plan.yml
    check: plan
    artifact: interlock-plan
"""

BEFORE = {
    "infra/prod/main.tf": DATABASE,
    "infra/modules/environment/main.tf": MODULE,
    ".github/workflows/plan.yml": PLAN_WORKFLOW,
    ".github/workflows/agent.yml": AGENT_WORKFLOW,
    ".github/interlock.yml": POLICY,
    "README.md": "# Shop\n",
}

DELETED_AND_RECREATED = {
    "infra/prod/main.tf": RECREATED,
    ".github/workflows/agent.yml": AGENT_WORKFLOW.replace("contents: read", "contents: write\n  id-token: write"),
}

ANSWER = {"infra/prod/main.tf": KEPT, ".github/workflows/agent.yml": AGENT_WORKFLOW}

PLAN = {
    "format_version": "1.2",
    "terraform_version": "1.9.8",
    "resource_changes": [
        {
            "address": "aws_lb_target_group.web",
            "mode": "managed",
            "type": "aws_lb_target_group",
            "name": "web",
            "provider_name": "registry.terraform.io/hashicorp/aws",
            "change": {
                "actions": ["delete", "create"],
                "before": {"port": 8080},
                "after": {"port": 8443},
                "after_unknown": {"id": True},
                "replace_paths": [["port"]],
            },
            "action_reason": "replace_because_cannot_update",
        },
        {
            "address": "aws_db_instance.orders",
            "mode": "managed",
            "type": "aws_db_instance",
            "name": "orders",
            "provider_name": "registry.terraform.io/hashicorp/aws",
            "change": {"actions": ["forget"], "before": {"identifier": "shop-orders"}, "after": None, "after_unknown": {}},
        },
        {
            "address": "module.environment.aws_cloudwatch_log_group.app",
            "module_address": "module.environment",
            "mode": "managed",
            "type": "aws_cloudwatch_log_group",
            "name": "app",
            "provider_name": "registry.terraform.io/hashicorp/aws",
            "change": {"actions": ["create"], "before": None, "after": {"name": "/shop/app"}, "after_unknown": {"id": True}},
        },
    ],
}
