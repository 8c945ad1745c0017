"""The calculus of AWS policies against a simulator of AWS's evaluation, @cloud-copilot/iam-simulate, where it is at hand.

The package is no part of the project: `npm install --prefix DIR @cloud-copilot/iam-simulate` and INTERLOCK_ORACLES=DIR run this.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from checks.access.actions import Actions, mask
from checks.access.aws import compare
from checks.access.aws_policy import policy
from checks.readers.documents import json_node

ORACLES = Path(os.environ.get("INTERLOCK_ORACLES", "/nonexistent"))
PACKAGE = ORACLES / "node_modules" / "@cloud-copilot" / "iam-simulate"
SCRIPT = """
const { pairs, requests } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
(async () => {
  const { runSimulation } = await import(process.argv[1]);
  const out = [];
  for (const pair of pairs) out.push(await Promise.all(pair.map(async (document) => Promise.all(requests.map(async ([action, resource, context]) => {
    const result = await runSimulation({
      request: { principal: 'arn:aws:iam::111122223333:user/worker', action, resource: { resource, accountId: '111122223333' }, contextVariables: context },
      identityPolicies: [{ name: 'p', policy: document }], serviceControlPolicies: [], resourceControlPolicies: [], resourcePolicy: undefined,
    }, {});
    return result.overallResult ?? JSON.stringify(result).slice(0, 300);
  })))));
  console.log(JSON.stringify(out));
})();
"""
ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "sqs:SendMessage", "sqs:DeleteMessage", "dynamodb:GetItem")
RESOURCES = {
    "s3": ("arn:aws:s3:::shop/a", "arn:aws:s3:::shop/b/c", "arn:aws:s3:::till/a"),
    "sqs": ("arn:aws:sqs:eu-west-1:111122223333:orders",),
    "dynamodb": ("arn:aws:dynamodb:eu-west-1:111122223333:table/orders",),
}
ACTION_PATTERNS = (*ACTIONS, "*", "s3:*", "s3:*Object", "s3:?etObject", "sqs:*", "dynamodb:Get*")
RESOURCE_PATTERNS = (
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::shop/*",
    "arn:aws:s3:::shop/?",
    "arn:aws:s3:::*/a",
    "arn:aws:sqs:*:*:*",
    "arn:aws:dynamodb:*:*:table/orders",
)
CONDITIONS = (
    ("StringEquals", "aws:PrincipalOrgID", ("o-shop", "o-till")),
    ("StringLike", "aws:PrincipalOrgID", ("o-*", "o-s*")),
    ("StringNotEquals", "aws:PrincipalOrgID", ("o-shop", "o-till")),
    ("StringEqualsIfExists", "aws:PrincipalOrgID", ("o-shop",)),
    ("Bool", "aws:SecureTransport", ("true", "false")),
    ("IpAddress", "aws:SourceIp", ("10.0.0.0/8", "10.1.0.0/16")),
    ("NotIpAddress", "aws:SourceIp", ("10.0.0.0/8", "10.1.0.0/16")),
    ("Null", "aws:PrincipalOrgID", ("true", "false")),
)  # fmt: skip
CONTEXTS = (
    {"aws:PrincipalOrgID": "o-shop", "aws:SecureTransport": "true", "aws:SourceIp": "10.1.2.3"},
    {"aws:PrincipalOrgID": "o-till", "aws:SecureTransport": "false", "aws:SourceIp": "10.9.9.9"},
    {"aws:PrincipalOrgID": "o-else", "aws:SecureTransport": "true", "aws:SourceIp": "8.8.8.8"},
    {"aws:SecureTransport": "true", "aws:SourceIp": "10.1.2.3"},
)
REQUESTS = [(action, resource, context) for action in ACTIONS for resource in RESOURCES[action.split(":")[0]] for context in CONTEXTS]


def statement(chance: random.Random) -> dict[str, object]:
    out: dict[str, object] = {"Effect": chance.choice(("Allow", "Allow", "Allow", "Deny"))}
    out[chance.choice(("Action", "Action", "Action", "NotAction"))] = chance.sample(ACTION_PATTERNS, chance.randint(1, 3))
    out[chance.choice(("Resource", "Resource", "Resource", "NotResource"))] = chance.sample(RESOURCE_PATTERNS, chance.randint(1, 2))
    if chance.random() < 0.5:
        operator, key, values = chance.choice(CONDITIONS)
        out["Condition"] = {
            operator: {
                key: chance.sample(values, chance.randint(1, len(values))) if operator not in ("Bool", "Null") else chance.choice(values)
            }
        }
    return out


def pair(seed: int) -> list[dict[str, object]]:
    chance = random.Random(seed)
    base = [statement(chance) for _ in range(chance.randint(1, 4))]
    head = [one for one in base if chance.random() < 0.7] + [statement(chance) for _ in range(chance.randint(0, 2))]
    return [{"Version": "2012-10-17", "Statement": base}, {"Version": "2012-10-17", "Statement": head or [statement(chance)]}]


@pytest.mark.slow
def test_nothing_the_simulator_newly_allows_is_called_the_same() -> None:
    """On 120 generated pairs, every request that the simulator allows under head and not under base is among what is called new."""
    node = shutil.which("node")
    if node is None or not PACKAGE.is_dir():
        pytest.skip("needs node, and @cloud-copilot/iam-simulate below INTERLOCK_ORACLES")
    pairs = [pair(seed) for seed in range(120)]
    asked = json.dumps({"pairs": pairs, "requests": REQUESTS})
    done = subprocess.run(
        [node, "-e", SCRIPT, str(PACKAGE / "dist" / "esm" / "index.js")],
        input=asked,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    new = 0
    for documents, (before, after) in zip(pairs, json.loads(done.stdout), strict=True):
        assert {*before, *after} <= {"Allowed", "ImplicitlyDenied", "ExplicitlyDenied"}, {*before, *after}
        base, head = (policy(json_node(json.dumps(document).encode(), "p")) or () for document in documents)
        found = compare(base, head)
        everything = Actions()
        for gain in (*found.gains, *found.undenied):
            everything = everything.plus(gain.actions)
        for request, was, now in zip(REQUESTS, before, after, strict=True):
            if now == "Allowed" and was != "Allowed":
                new += 1
                assert mask(request[0]) & everything.bits, (request, documents)
    assert new > 100
