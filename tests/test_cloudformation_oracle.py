"""CloudFormation's deletions and replacements against AWS's own comparison, @aws-cdk/cloudformation-diff, where it is at hand.

The package is no part of the project: `npm install --prefix DIR @aws-cdk/cloudformation-diff` and INTERLOCK_ORACLES=DIR run this.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from checks.effects import effects_of
from tests.changes import change_of

ORACLES = Path(os.environ.get("INTERLOCK_ORACLES", "/nonexistent"))
PACKAGE = ORACLES / "node_modules" / "@aws-cdk" / "cloudformation-diff"
SCRIPT = """
const { fullDiff } = require(process.argv[1]);
const pairs = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(pairs.map(([a, b]) => Object.fromEntries(
  Object.entries(fullDiff(a, b).resources.changes).map(([id, d]) => [id, d.changeImpact])))));
"""
PROPERTIES = {
    "AWS::DynamoDB::Table": ("TableName", "BillingMode", "KeySchema", "LocalSecondaryIndexes", "TableClass", "Tags"),
    "AWS::S3::Bucket": ("BucketName", "AccessControl", "Tags", "BucketEncryption"),
    "AWS::RDS::DBInstance": ("DBInstanceIdentifier", "DBName", "MasterUsername", "AllocatedStorage", "DBInstanceClass", "KmsKeyId", "DBClusterIdentifier"),
    "AWS::SQS::Queue": ("QueueName", "DelaySeconds", "FifoQueue", "VisibilityTimeout"),
    "AWS::SNS::Topic": ("TopicName", "DisplayName", "FifoTopic"),
    "AWS::Lambda::Function": ("FunctionName", "Handler", "Runtime", "MemorySize", "PackageType"),
    "AWS::Kinesis::Stream": ("Name", "ShardCount", "RetentionPeriodHours"),
    "AWS::ECR::Repository": ("RepositoryName", "ImageTagMutability", "EncryptionConfiguration"),
    "AWS::EFS::FileSystem": ("Encrypted", "KmsKeyId", "PerformanceMode", "ThroughputMode", "AvailabilityZoneName"),
    "AWS::Logs::LogGroup": ("LogGroupName", "RetentionInDays", "KmsKeyId"),
    "AWS::IAM::Role": ("RoleName", "Path", "Description"),
    "AWS::KMS::Key": ("Description", "KeySpec", "MultiRegion", "EnableKeyRotation"),
}  # fmt: skip
POLICIES = (None, None, "Retain", "Delete", "Snapshot")


def templates(seed: int) -> tuple[dict[str, object], dict[str, object]]:
    """A template of five resources and another with some of them gone, renamed or changed."""
    chance = random.Random(seed)
    base: dict[str, dict[str, object]] = {}
    for number in range(5):
        kind = chance.choice(sorted(PROPERTIES))
        names = chance.sample(PROPERTIES[kind], chance.randint(1, len(PROPERTIES[kind])))
        resource: dict[str, object] = {"Type": kind, "Properties": {name: f"value-{number}-{name}" for name in names}}
        policy = chance.choice(POLICIES)
        if policy is not None:
            resource["DeletionPolicy"] = policy
        base[f"R{number}"] = resource
    head = json.loads(json.dumps(base))
    for name in list(head):
        step = chance.randrange(4)
        if step == 0:
            del head[name]
        elif step == 1:
            changed = chance.choice(PROPERTIES[head[name]["Type"]])
            head[name]["Properties"][changed] = "another"
    return {"Resources": base}, {"Resources": head}


@pytest.mark.slow
def test_deletions_and_replacements_are_those_of_awss_own_comparison() -> None:
    """On 150 generated pairs, each resource that AWS's comparison destroys, orphans or replaces is said so, and no other."""
    node = shutil.which("node")
    if node is None or not PACKAGE.is_dir():
        pytest.skip("needs node, and @aws-cdk/cloudformation-diff below INTERLOCK_ORACLES")
    pairs = [templates(seed) for seed in range(150)]
    done = subprocess.run(
        [node, "-e", SCRIPT, str(PACKAGE)], input=json.dumps(pairs), capture_output=True, text=True, timeout=120, check=True
    )
    differing = []
    for seed, ((base, head), impacts) in enumerate(zip(pairs, json.loads(done.stdout), strict=True)):
        found = effects_of(change_of({"t.json": json.dumps(base)}, {"t.json": json.dumps(head)}), only="cloudformation")
        rules = {"destroyed": set(), "orphaned": set(), "replaced": set()}
        for effect in found:
            action = {"resource-destroyed": "destroyed", "resource-forgotten": "orphaned", "resource-replaced": "replaced"}.get(
                effect.rule.rpartition("/")[2]
            )
            if action is not None:
                rules[action].add(effect.subject)
        oracle = {
            "destroyed": {name for name, impact in impacts.items() if impact == "WILL_DESTROY"},
            "orphaned": {name for name, impact in impacts.items() if impact == "WILL_ORPHAN"},
            "replaced": {name for name, impact in impacts.items() if impact in ("WILL_REPLACE", "MAY_REPLACE")},
        }
        if rules != oracle:
            differing.append(
                (
                    seed,
                    rules,
                    oracle,
                    {
                        name: (base["Resources"][name], head["Resources"].get(name))
                        for name in base["Resources"]
                        if any((name in rules[k]) != (name in oracle[k]) for k in rules)
                    },
                )
            )
    assert not differing, f"{len(differing)} of {len(pairs)}: {differing[:6]}"
