"""HCL read as values, and a directory read as one configuration."""

from __future__ import annotations

import pickle
import textwrap

import pytest

from checks.model import Unreadable
from checks.readers.hcl import Opaque, expression, hcl
from checks.readers.terraform import configuration, instances, variables
from checks.trees import FILE, LINK, MemoryTree


def read(text: str, path: str = "main.tf"):
    return hcl(textwrap.dedent(text).encode(), path)


def config(**files: str):
    tree = MemoryTree({name.replace("__", "."): textwrap.dedent(text).encode() for name, text in files.items()})
    return configuration(tree, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('"${var.a}"', "var.a"),
        ("[1,2, # two\n 3]", "[1, 2, 3]"),
        ('{ a = 1, "b" : 2 }', "{ b = 2\n a = 1 }"),
        ("(var.a)", "var.a"),
        ("a ? b : c ? d : e", "a ? b : (c ? d : e)"),
        ("x[0].y", "x.0.y"),
        ('m["k"]', "m.k"),
        ("a && b || c", "(a && b) || c"),
    ],
)
def test_expressions_that_mean_the_same_have_the_same_text(one: str, other: str) -> None:
    """Spelling, comments, quotes and the order of keys do not count."""
    left, right = expression(one), expression(other)
    assert left is not None and right is not None
    assert left.text == right.text


def test_values_keep_their_lines_and_kinds() -> None:
    """A block knows its labels and lines, an attribute its value."""
    file = read(
        """
        resource "aws_x" "y" {
          name = "a"
          size = -1.5
          on   = true
          none = null
          tags = { a = 1 }
          dynamic "rule" {
            for_each = var.rules
            content {
              port = rule.value
            }
          }
        }
        """
    )
    (block,) = file.blocks
    assert (block.type, block.labels, block.line, block.end) == ("resource", ("aws_x", "y"), 2, 14)
    assert {name: value.plain for name, value in block.attributes.items()} == {
        "name": "a",
        "size": -1.5,
        "on": True,
        "none": None,
        "tags": {"a": 1},
    }
    (rule,) = block.nested("rule")
    assert rule.dynamic is not None and rule.dynamic.text == "var.rules"
    assert isinstance(rule.attributes["port"].plain, Opaque)
    assert pickle.loads(pickle.dumps(file)) == file


def test_text_in_templates_keeps_its_spaces_and_escapes() -> None:
    """A heredoc is the text Terraform makes of it; a policy in it can be read."""
    file = read(
        """
        resource "aws_x" "y" {
          policy = <<-EOT
            {
              "a": "${var.x} b"
            }
          EOT
          other = "a \\"b\\" $${c}\\n"
        }
        """
    )
    (block,) = file.blocks
    assert block.attributes["policy"].text == '"{\\n  \\"a\\": \\"${var.x} b\\"\\n}\\n"'
    assert block.attributes["policy"].heredoc
    assert block.attributes["other"].plain == 'a "b" ${c}\n'


def test_a_syntax_error_costs_one_block() -> None:
    """What stands around a broken block is read, and the broken one is named with its text."""
    file = read('resource "a" "x" {\n  a = = 1\n}\nresource "a" "y" {\n  b = 1\n}\nresource "a" "z" {\n  c = 1\n  c = 2\n}\n')
    assert [block.labels for block in file.blocks] == [("a", "y")]
    assert [(piece.labels, piece.line) for piece in file.broken] == [(("a", "x"), 1), (("a", "z"), 7)]
    assert "set twice" in file.broken[1].why


def test_the_names_of_arguments_may_be_quoted_as_before_terraform_0_12() -> None:
    """An argument whose name is quoted, as Terraform read until 0.12, is that argument; quoted keys of a map stay what they are."""
    file = read('module "log" {\n  "name" = "${var.name}"\n  tags = {\n    "a b" = "1"\n    "c" = 2\n  }\n}\n')
    (block,) = file.blocks
    assert not file.broken and block.attributes["name"].text == "var.name"
    assert [key.key for key, _ in block.attributes["tags"].pairs] == ["a b", "c"]
    assert block.attributes["name"].line == 2
    assert read('module "log" {\n  "name" == 1\n}\n').broken


def test_a_brace_at_the_start_of_a_line_of_text_ends_nothing() -> None:
    """Heredocs and comments are not cut at what looks like a block's head."""
    file = read('resource "a" "x" {\n  p = <<EOF\n{\n}\nresource "b" "c" {\nEOF\n}\n/*\nresource "d" "e" {\n*/\n')
    assert [block.labels for block in file.blocks] == [("a", "x")]
    assert not file.broken


@pytest.mark.parametrize("text", ["x = " + "[" * 5_000, "{" * 300_000, "resource \x01 {" * 30_000, 'x = "' + "${" * 200])
def test_hostile_text_ends_quickly_and_is_named(text: str) -> None:
    """Deep, long or senseless text is a broken piece, never a crash."""
    assert hcl(text.encode(), "main.tf").broken


def test_too_large_a_file_is_unreadable() -> None:
    """Over 1 MiB nothing is parsed."""
    with pytest.raises(Unreadable):
        hcl(b"#" * (1 << 20) + b"\n#", "main.tf")


def test_the_json_syntax_gives_the_same_blocks() -> None:
    """`.tf.json` says the same as `.tf`, templates and repeated bodies included."""
    native = read('resource "aws_x" "y" {\n  name = "a-${var.b}"\n  ids = [aws_z.q.id]\n}\nmodule "m" {\n  source = "./m"\n}\n')
    twin = read(
        '{"resource": {"aws_x": {"y": {"name": "a-${var.b}", "ids": ["${aws_z.q.id}"]}}}, "module": {"m": [{"source": "./m"}]}}',
        "main.tf.json",
    )
    assert [(b.type, b.labels, {k: v.text for k, v in b.attributes.items()}) for b in native.blocks] == [
        (b.type, b.labels, {k: v.text for k, v in b.attributes.items()}) for b in twin.blocks
    ]


def test_a_directory_is_one_configuration() -> None:
    """Files are one; overrides replace; links are left out."""
    tree = MemoryTree(
        {
            "a/main.tf": (b'resource "aws_x" "y" {\n  size = 1\n  name = "n"\n}\n', FILE),
            "a/x_override.tf": (b'resource "aws_x" "y" {\n  size = 2\n}\n', FILE),
            "a/link.tf": (b"../b/main.tf", LINK),
            "a/deep/other.tf": (b'resource "aws_x" "z" {}\n', FILE),
        }
    )
    found = configuration(tree, "a")
    assert list(found.resources) == ["aws_x.y"]
    body = found.body(found.resources["aws_x.y"])
    assert (body.attributes["size"].plain, body.attributes["name"].plain) == (2, "n")
    assert not found.broken
    assert not configuration(tree, "nowhere")


def test_names_are_followed_before_comparing() -> None:
    """Locals, defaults, optional members and variables files are put in; what is unknown stays as text."""
    found = config(
        main__tf="""
        variable "size" { default = "large" }
        variable "zone" {}
        variable "db" {
          type    = object({ encrypted = optional(bool, true), name = string })
          default = { name = "x" }
        }
        locals {
          name = "db-${var.size}"
          tags = merge({ a = 1 }, { b = local.name })
          loop = local.loop
        }
        resource "aws_db_instance" "a" {
          name      = local.name
          tags      = local.tags
          encrypted = try(var.db.encrypted, false)
          zone      = "${var.zone}-a"
          loop      = local.loop
          count     = var.size == "large" ? 2 : 0
        }
        resource "aws_x" "each" {
          for_each = toset(["b", "a"])
        }
        """,
    )
    body = found.body(found.resources["aws_db_instance.a"])
    assert {name: value.plain for name, value in body.attributes.items()} == {
        "name": "db-large",
        "tags": {"a": 1, "b": "db-large"},
        "encrypted": True,
        "zone": '${"${var.zone}-a"}',
        "loop": "${local.loop}",
        "count": 2,
    }
    assert body.attributes["name"].assumed
    assert instances(found.resources["aws_db_instance.a"], body) == 2
    each = found.resources["aws_x.each"]
    assert instances(each, found.body(each)) == frozenset({"a", "b"})


def test_variables_files_decide_over_defaults() -> None:
    """terraform.tfvars is read by itself; another file's values are put in where asked."""
    tree = MemoryTree(
        {
            "main.tf": b'variable "n" { default = 1 }\nresource "aws_x" "y" {\n  n = var.n\n}\n',
            "terraform.tfvars": b"n = 2\n",
            "prod.tfvars": b"n = 3\n",
        }
    )
    found = configuration(tree, "")
    value = found.body(found.resources["aws_x.y"]).attributes["n"]
    assert (value.plain, value.assumed) == (2, False)
    production = found.with_values(variables(tree, "prod.tfvars"))
    assert production.body(production.resources["aws_x.y"]).attributes["n"].plain == 3


def test_blocks_that_say_what_becomes_of_an_address_are_kept() -> None:
    """moved, removed and import blocks."""
    found = config(
        main__tf="""
        moved {
          from = aws_x.a
          to   = aws_x.b
        }
        removed {
          from = aws_x.c
          lifecycle {
            destroy = false
          }
        }
        removed { from = module.m }
        import {
          to = aws_x.d
          id = "d"
        }
        """
    )
    assert found.moved == {"aws_x.a": "aws_x.b"}
    assert {name: removed.destroy for name, removed in found.removed.items()} == {"aws_x.c": False, "module.m": None}
    assert found.imports == {"aws_x.d"}


def test_a_directory_over_the_limit_says_so_and_loses_nothing() -> None:
    """Too many files are a broken piece, and no resource counts as gone because of it."""
    from checks.effects import effects_of
    from tests.changes import change_of

    many = {f"f{number}.tf": f'resource "aws_vpc" "v{number}" {{}}\n' for number in range(1_001)}
    found = effects_of(change_of({"f1.tf": many["f1.tf"], "f2.tf": many["f2.tf"]}, many), only="terraform")
    assert [effect.rule for effect in found] == ["engine/not-analysed"]
    assert not effects_of(change_of(many, many | {"README.md": "x"}), only="terraform")


def test_a_file_over_the_limit_hides_only_itself() -> None:
    """What stands in the other files of the directory is still judged."""
    from checks.effects import effects_of
    from tests.changes import change_of

    before = {"a.tf": 'resource "aws_vpc" "v" {}\n', "b.tf": 'resource "aws_kms_key" "k" {}\n'}
    found = effects_of(change_of(before, {"a.tf": "#" * (1 << 20) + "\n#"}), only="terraform")
    assert sorted(effect.rule for effect in found) == ["engine/not-analysed", "terraform/resource-destroyed"]
    assert {effect.subject for effect in found} == {"a.tf", "aws_kms_key.k"}


def test_the_same_values_through_a_module_call_are_compared() -> None:
    """An argument of a call to a local module counts in that module, with the call's address."""
    from checks.effects import effects_of
    from tests.changes import change_of

    module = 'variable "name" {}\nresource "aws_s3_bucket" "b" {\n  bucket = var.name\n}\n'

    def files(name: str) -> dict[str, str]:
        return {"m/main.tf": module, "main.tf": f'module "logs" {{\n  source = "./m"\n  name = "{name}"\n}}\n'}

    found = effects_of(change_of(files("old"), files("new")), only="terraform")
    assert [(effect.subject, effect.path, effect.fact("action")) for effect in found] == [
        ("module.logs.aws_s3_bucket.b", "main.tf", "replace")
    ]


def test_a_variables_file_carries_its_environment() -> None:
    """A value in prod.tfvars is judged as production's."""
    from checks.effects import effects_of
    from tests.changes import change_of

    main = 'variable "n" {}\nresource "aws_s3_bucket" "b" {\n  bucket = var.n\n}\n'
    found = effects_of(
        change_of({"main.tf": main, "prod.tfvars": 'n = "a"\n'}, {"main.tf": main, "prod.tfvars": 'n = "b"\n'}), only="terraform"
    )
    assert [(effect.path, effect.environment) for effect in found] == [("prod.tfvars", "production")]


@pytest.mark.parametrize(
    "link",
    ["[local.l{next}, local.l{next}]", '"${{local.l{next}}}${{local.l{next}}}"', "merge(local.l{next}, local.l{next})", "(local.l{next})"],
)
def test_names_that_double_each_other_end(link: str) -> None:
    """A chain of locals, each twice the next, neither hangs nor crashes; what is too large stays unknown."""
    chain = "\n".join(f"l{number} = " + link.format(next=number + 1) for number in range(200))
    found = config(main__tf=f'locals {{\n{chain}\nl200 = "x"\n}}\nresource "aws_x" "y" {{\n  a = local.l0\n  b = local.l150\n}}\n')
    body = found.body(found.resources["aws_x.y"])
    assert len(body.attributes["a"].text) < 10_000_000
    for number in range(199, -1, -1):
        value = expression(f"local.l{number}")
        assert value is not None
        assert len(found.resolve(value).text) < 10_000_000
