"""Makes terraform_replaced.txt and terraform_stateful.txt from two tables of facts: `python make_terraform.py REPLACED.json STATEFUL.json`.

REPLACED: provider → resource type → {"f": arguments whose change replaces, "m": those that may, "oc": those of them that the provider computes when
left out}; nested arguments dotted, without indexes. STATEFUL: resource type → {"class": kind of data, "recovery": how it comes back}.
A line of the first output: the type, then its arguments, `?` before one that only may replace, `~` after one that is computed when left out.
A line of the second: type, tab, class, tab, recovery. Both are sorted, so that one line is found without reading the rest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
CLASSES = {
    # Corrections to the table of classes, each from the provider's documentation.
    "cloudflare_d1_database": "database",
    "cloudflare_r2_bucket": "object store",
    "cloudflare_workers_kv_namespace": "database",
    "aws_rds_cluster_instance": "machine",
    "aws_docdb_cluster_instance": "machine",
    "aws_neptune_cluster_instance": "machine",
    "azurerm_kubernetes_cluster_node_pool": "machine",
    "aws_dynamodb_table_item": "object",
    "azurerm_storage_blob": "object",
    "azurerm_backup_policy_vm": "backup plan",
    "aws_backup_plan": "backup plan",
    "aws_backup_selection": "backup plan",
}
EXTRA = {
    # Arguments of older provider versions that are still in use, from their documentation ("changing this forces a new resource").
    "aws_db_instance": ["name~"],
    "azurerm_kubernetes_cluster": ["agent_pool_profile.name", "agent_pool_profile.os_type", "agent_pool_profile.vnet_subnet_id"],
}


def main(replaced: str, stateful: str) -> None:
    providers = json.loads(Path(replaced).read_text())
    lines = []
    for provider, types in providers.items():
        if provider == "meta":
            continue
        for name, facts in types.items():
            computed = set(facts.get("oc", ()))
            words = [path + "~" * (path in computed) for path in facts.get("f", ())]
            words += ["?" + path + "~" * (path in computed) for path in facts.get("m", ())]
            words += EXTRA.get(name, [])
            if words:
                lines.append(" ".join([name, *words]))
    (HERE / "terraform_replaced.txt").write_text("".join(f"{line}\n" for line in sorted(lines)))
    rows = json.loads(Path(stateful).read_text())
    (HERE / "terraform_stateful.txt").write_text(
        "".join(f"{name}\t{CLASSES.get(name, row['class'])}\t{row['recovery']}\n" for name, row in sorted(rows.items()))
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
