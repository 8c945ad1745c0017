"""What counts as shipping in steps or rolling back by itself: descriptions of the unit's own folders that a machine judges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.delivery import deliveries, proof_of
from checks.model import Hazard, Status
from checks.trees import MemoryTree
from tests.changes import change_of
from tests.test_evidence import BREAKER, EFFECT, JUDGED, SAM

EVERYWHERE = "Globals:\n  Function:\n    DeploymentPreference: {Type: Canary10Percent5Minutes, Alarms: [!Ref A]}\n"
FUNCTION = "Resources:\n  shop:\n    Type: AWS::Serverless::Function\n"

CANARY = """apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop-canary}
spec:
  targetRef: {kind: Deployment, name: shop}
  analysis: {metrics: [{name: request-success-rate}]}
"""
GREEN = """apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  strategy:
    blueGreen:
      prePromotionAnalysis: {templates: [{templateName: ok}]}
"""
GROUP = """resource "aws_codedeploy_deployment_group" "shop" {
  deployment_config_name = "CodeDeployDefault.ECSCanary10Percent5Minutes"
  auto_rollback_configuration {
    enabled = true
    events = ["DEPLOYMENT_STOP_ON_ALARM"]
  }
  alarm_configuration {
    enabled = true
    alarms = ["errors"]
  }
}
"""
BARE = """apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec: {}
"""
BOTH, BACK, NEITHER = (True, True), (False, True), None


def told(path: str, content: str) -> tuple[bool, bool] | None:
    """(ships in steps, rolls back) as a file says; None where it says nothing."""
    found = list(deliveries(MemoryTree({path: content.encode()}), "apps/shop/k8s/deployment.yaml"))
    assert len(found) <= 1
    return (bool(found[0].staged), bool(found[0].rollback)) if found else None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (JUDGED, BOTH),
        (GREEN, BOTH),
        (GREEN.replace("prePromotion", "postPromotion"), BOTH),
        (JUDGED.replace("setWeight: 10", "setWeight: 100"), BACK),
        (JUDGED.replace("      steps: [{setWeight: 10}, {pause: {}}]\n", ""), BACK),
        (JUDGED.replace("[{templateName: ok}]", "[]"), NEITHER),
        (JUDGED.replace("{templates: [{templateName: ok}]}", "{}"), NEITHER),
        (JUDGED.replace("{templates: [{templateName: ok}]}", "yes"), NEITHER),
        (JUDGED.replace("analysis", "other"), NEITHER),
        (JUDGED.replace("argoproj.io/v1alpha1", "example.com/v1"), NEITHER),
        (JUDGED.replace("apiVersion: argoproj.io/v1alpha1\n", ""), NEITHER),
        (JUDGED.replace("kind: Rollout", "kind: Other # Rollout"), NEITHER),
        (CANARY, BOTH),
        (CANARY.replace("analysis", "canaryAnalysis"), BOTH),
        (CANARY.replace("[{name: request-success-rate}]", "[]"), NEITHER),
        (CANARY.replace("metrics", "other"), NEITHER),
        (CANARY + "  skipAnalysis: true\n", NEITHER),
        (CANARY + "  skipAnalysis: false\n", BOTH),
        (CANARY.replace("flagger.app/v1beta1", "example.com/v1"), NEITHER),
        (CANARY.replace("  analysis: {metrics: [{name: request-success-rate}]}\n", ""), NEITHER),
        (CANARY.replace("kind: Canary", "kind: MetricTemplate # Canary"), NEITHER),
        (BARE, NEITHER),
        (SAM, BOTH),
        (SAM.replace("Canary10Percent5Minutes", "AllAtOnce"), BACK),
        (SAM.replace("Type: Canary10Percent5Minutes, ", ""), BACK),
        (SAM.replace("[!Ref A]", "[]"), NEITHER),
        (SAM.replace(", Alarms: [!Ref A]", ""), NEITHER),
        (SAM.replace("Alarms:", "Enabled: false, Alarms:"), NEITHER),
        (SAM.replace("Alarms:", "Enabled: true, Alarms:"), BOTH),
        (SAM.replace("{Type: Canary10Percent5Minutes, Alarms: [!Ref A]}", "Canary"), NEITHER),
        (SAM.replace("DeploymentPreference:", "Metadata:") + "# DeploymentPreference\n", NEITHER),
        (EVERYWHERE, NEITHER),
        (EVERYWHERE + FUNCTION, BOTH),
        (EVERYWHERE + FUNCTION + "    Properties:\n      DeploymentPreference: {Enabled: false}\n", NEITHER),
        (EVERYWHERE + FUNCTION + "    Properties:\n      DeploymentPreference: {Type: AllAtOnce}\n", BACK),
        (EVERYWHERE + FUNCTION + "    Properties:\n      DeploymentPreference: {Alarms: []}\n", NEITHER),
        (EVERYWHERE.replace("Alarms:", "Enabled: false, Alarms:") + FUNCTION, NEITHER),
        (EVERYWHERE + FUNCTION.replace("Function", "Api"), NEITHER),
    ],
)
def test_what_a_document_says_of_delivery(content: str, expected: tuple[bool, bool] | None) -> None:
    """Steps count with an analysis that has something to look at, and so does a rollback; a name alone does not."""
    assert told("apps/shop/k8s/rollout.yaml", content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BREAKER % "true", BACK),
        (BREAKER % "false", NEITHER),
        (BREAKER.replace("enable = true", "enable = false") % "true", NEITHER),
        (BREAKER.replace("rollback = %s", ""), NEITHER),
        (BREAKER.replace("resource", "data") % "true", NEITHER),
        (GROUP, BOTH),
        (GROUP.replace("ECSCanary", "ECSLinear"), BOTH),
        (GROUP.replace("ECSCanary10Percent5Minutes", "ECSAllAtOnce"), BACK),
        (GROUP.replace('  deployment_config_name = "CodeDeployDefault.ECSCanary10Percent5Minutes"\n', ""), BACK),
        (GROUP.replace("enabled = true\n    events", "enabled = false\n    events"), NEITHER),
        (GROUP.replace("enabled = true\n    alarms", "enabled = false\n    alarms"), NEITHER),
        (GROUP.replace("STOP_ON_ALARM", "FAILURE"), NEITHER),
        (GROUP.replace('    events = ["DEPLOYMENT_STOP_ON_ALARM"]\n', ""), NEITHER),
        (GROUP.replace("alarm_configuration", "other"), NEITHER),
        (GROUP.replace("auto_rollback_configuration", "other"), NEITHER),
        (GROUP.replace("resource", "data"), NEITHER),
        (GROUP.replace("aws_codedeploy_deployment_group", "aws_codedeploy_app"), NEITHER),
        ('resource "aws_ecs_service" "shop" {}\n', NEITHER),
    ],
)
def test_what_terraform_says_of_delivery(content: str, expected: tuple[bool, bool] | None) -> None:
    """A circuit breaker or alarms that are on, and that really roll back."""
    assert told("apps/shop/k8s/main.tf", content) == expected
    assert told("apps/shop/k8s/main.tofu", content) == expected


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("apps/shop/k8s/a.yml", True),
        ("apps/shop/k8s/a.template", True),
        ("apps/shop/k8s/a.txt", False),
        ("apps/shop/a.yaml", True),
        ("apps/shop/k8s/rollout/a.yaml", True),
        ("apps/shop/k8s/src/a.yaml", False),
        ("apps/shop/rollout/a.yaml", True),
        ("apps/other/k8s/a.yaml", False),
        ("apps/a.yaml", False),
        ("a.yaml", False),
        *(
            (f"apps/shop/{folder}/a.yaml", True)
            for folder in ("deploy", "deployment", "kubernetes", "manifests", "helm", "chart", "charts")
        ),
        *((f"apps/shop/{folder}/a.yaml", True) for folder in ("templates", "infra", "terraform", "rollouts", "base", "overlays", ".aws")),
    ],
)
def test_only_the_units_own_folders_speak_for_it(path: str, seen: bool) -> None:
    """The folder of the effect, the one above it, and those of delivery inside them."""
    assert (told(path, JUDGED) is not None) is seen


def test_a_file_at_the_top_speaks_for_the_top_alone() -> None:
    """An effect at the top of a repository is delivered by what stands there; one in a folder is not."""
    tree = MemoryTree({"a.yaml": JUDGED.encode(), "k8s/b.yaml": JUDGED.encode(), "broken.yaml": b"kind: [Rollout"})
    assert [one.path for one in deliveries(tree, "deployment.yaml")] == ["a.yaml", "k8s/b.yaml"]
    assert [one.path for one in deliveries(tree, "k8s/deployment.yaml")] == ["k8s/b.yaml"]


@pytest.mark.parametrize(
    ("name", "subject", "same"),
    [
        ("shop", "Deployment/shop", True),
        ("shop", "Deployment:web/shop", True),
        ("shop", "Deployment/other", False),
        ("aws_ecs_service.shop", "aws_ecs_service.shop", True),
        ("aws_ecs_service.shop", "aws_ecs_service.other", False),
        ("aws_ecs_service.shop", "module.a.aws_ecs_service.shop", True),
        ("", "Deployment/other", True),
    ],
)
def test_a_description_is_for_the_workload_that_it_names(name: str, subject: str, same: bool) -> None:
    """One that names another workload proves nothing for this."""
    content = JUDGED.replace("name: shop", f"name: '{name}'")
    effect = replace(EFFECT, path="k8s/x.yaml", subject=subject)
    change = change_of({}, {"k8s/rollout.yaml": content})
    found = proof_of(effect, change, (), lambda one: one.staged, "none")
    assert found.status is (Status.MET if same else Status.MISSING)


@pytest.mark.parametrize(
    ("content", "subject", "same"),
    [
        (CANARY, "Deployment/shop", True),
        (CANARY, "Deployment/shop-canary", False),
        (CANARY.replace("name: shop}", "name: other}"), "Deployment/shop", False),
        (CANARY.replace(", name: shop}", "}"), "Deployment/shop-canary", True),
        (CANARY.replace(", name: shop}", "}"), "Deployment/shop", False),
        (SAM, "Deployment/shop", True),
        (SAM.replace("shop:", "other:"), "Deployment/shop", False),
        (EVERYWHERE + FUNCTION, "Deployment/shop", True),
        (EVERYWHERE + FUNCTION, "Deployment/other", False),
        (GROUP, "a b", True),
    ],
)
def test_a_description_is_for_what_it_is_aimed_at(content: str, subject: str, same: bool) -> None:
    """A Canary for its target, a preference for its function, the one for all of them for each; not for what else stands there."""
    path = "k8s/a.tf" if content == GROUP else "k8s/a.yaml"
    effect = replace(EFFECT, path="k8s/x.yaml", subject=subject)
    found = proof_of(effect, change_of({}, {path: content}), (), lambda one: one.staged, "none")
    assert found.status is (Status.MET if same else Status.MISSING)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.yaml", BARE),
        ("a.yaml", CANARY.replace("  analysis: {metrics: [{name: request-success-rate}]}\n", "")),
        ("a.yaml", "kind: [Rollout"),
        ("a.tf", 'resource "aws_ecs_service" {}\nresource "aws_ecs_service" "other" {}\n'),
    ],
)
def test_what_says_nothing_hides_nothing(path: str, content: str) -> None:
    """A description that is broken or leaves out what matters stands beside a good one: that one counts."""
    effect = replace(EFFECT, path="k8s/x.yaml", subject="Deployment/shop")
    found = proof_of(effect, change_of({}, {f"k8s/{path}": content, "k8s/b.yaml": JUDGED}), (), lambda one: one.staged, "none")
    assert found.status is Status.MET


def test_what_the_change_weakens_is_no_proof() -> None:
    """A file that describes the delivery and that this change loosens, or takes a guard off in; another file is another matter."""
    effect = replace(EFFECT, path="k8s/rollout.yaml", subject="Rollout/shop")
    change = change_of({}, {"k8s/rollout.yaml": JUDGED})

    def status(**other: object) -> Status:
        return proof_of(effect, change, (effect, replace(effect, **other)), lambda one: one.staged, "none").status  # type: ignore[arg-type]

    assert status() is Status.MET
    here = replace(effect, path="k8s/x.yaml")
    guard = replace(effect, hazard=Hazard.PROTECTION_REMOVED)
    assert proof_of(here, change, (here, guard), lambda one: one.staged, "none").status is Status.FAILED
    assert status(rule="rollouts/analysis-removed") is Status.FAILED
    assert status(hazard=Hazard.PROTECTION_REMOVED) is Status.FAILED
    assert status(hazard=Hazard.PROTECTION_REMOVED, path="k8s/other.yaml") is Status.MET
    assert status(rule="rollouts/analysis-removed", path="k8s/other.yaml") is Status.MET
