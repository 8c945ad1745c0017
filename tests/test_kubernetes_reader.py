"""The readers of Kubernetes objects, Helm templates and kustomizations, and the sets behind RBAC."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.access import rbac
from checks.access.rbac import Atom
from checks.model import Severity, Unreadable
from checks.readers import documents, helm, kubernetes, kustomize, pruning
from checks.readers.manifests import manifests
from checks.trees import MemoryTree
from tests.changes import change_of

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  replicas: 2\n"


def test_an_object_knows_its_line_in_the_file() -> None:
    """Lines count from the file's first line, in the second document and inside a list as well."""
    second = f"# first\n{DEPLOYMENT}---\n{DEPLOYMENT.replace('web', 'api')}"
    web, api = kubernetes.read(second.encode(), "k.yaml").objects
    assert (web.line, web.at(web.get("spec", "replicas"))) == (2, 8)
    assert (api.line, api.at(api.get("spec", "replicas"))) == (10, 16)
    assert api.key.address == "apps/Deployment/shop/api"


def test_a_list_is_its_items() -> None:
    """A List of objects reads as the objects."""
    items = "".join(f"  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {{name: {name}}}\n" for name in "ab")
    found = kubernetes.read(f"apiVersion: v1\nkind: List\nitems:\n{items}".encode(), "k.yaml")
    assert [item.key.name for item in found.objects] == ["a", "b"]


def test_one_bad_document_does_not_hide_the_others() -> None:
    """A document that makes no sense is named with its line; the rest is read."""
    found = kubernetes.read(f"{DEPLOYMENT}---\nkind: Broken\napiVersion: v1\n  x: [\n---\n{DEPLOYMENT}".encode(), "k.yaml")
    assert len(found.objects) == 2
    assert [item.line for item in found.unread] == [11]


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("a: {{ .Values.n }}", {"n": 3}, "a: 3"),
        ("a: {{ .Values.gone | default 4 }}", {}, "a: 4"),
        ("{{- if .Values.on }}\na: 1\n{{- else }}\na: 2\n{{- end }}", {"on": False}, "a: 2"),
        ("{{- if and .Values.on (not .Values.off) }}\na: 1\n{{- end }}", {"on": True, "off": False}, "a: 1"),
        ("a:\n  {{- toYaml .Values.map | nindent 2 }}", {"map": {"b": [1]}}, 'a:\n  "b": [1]'),
        ("{{- range $k, $v := .Values.map }}\n{{ $k }}: {{ $v | quote }}\n{{- end }}", {"map": {"x": "y"}}, 'x: "y"'),
        ("{{- with .Values.gone }}\na: {{ . }}\n{{- end }}\nb: 1", {}, "b: 1"),
        ("a: {{ .Release.Name }}-x {{/* note */}}", {}, "a: ⟦.Release.Name⟧-x"),
        ('a: {{ include "x.name" . }}', {}, "a: ⟦x.name⟧"),
        ('{{- define "x" }}\nhidden: 1\n{{- end }}\na: 1', {}, "a: 1"),
    ],
)
def test_a_template_renders_as_helm_would(template: str, values: dict[str, object], text: str) -> None:
    """Conditions, loops and values come out as Helm renders them; what only a release knows stays a named gap."""
    assert helm.render(template.encode(), "t.yaml", values).text.strip() == text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(
            'metadata:\n  labels:\n    {{ include "x.labels" . }}\n    {{ include "x.more" . }}\n    app: web\n',
            {"metadata": {"labels": {"app": "web"}}},
            id="unknown keys beside known ones",
        ),
        pytest.param(
            'volumes:\n- name: a\n- {{- include "x.volume" . | indent 2 }}\n',
            {"volumes": [{"name": "a"}, None]},
            id="an unknown item behind a trimmed dash",
        ),
        pytest.param(
            '{{- if .Release.Name }}{{ fail "one, not both" }}{{ end }}\nkind: A\n', {"kind": "A"}, id="a chart that refuses some values"
        ),
        pytest.param("{{- with.Values.map }}\nkind: A\n{{- end }}\n", {"kind": "A"}, id="a keyword without a space"),
        pytest.param(
            'a:\n  b:\n{{ include "x.lines" . | fromYaml | toYaml }}\n  c: 1\n',
            {"a": {"b": None, "c": 1}},
            id="unknown lines that bring their own depth",
        ),
        pytest.param(
            'a:\n  {{- tpl "b: {{ .Release.Name }}" . | nindent 2 }}\n', {"a": {"b": "⟦tpl⟧"}}, id="a text that is a template itself"
        ),
        pytest.param('{{ template "x.checked" . }}\n# Why\nkind: A\n', {"kind": "A"}, id="an unknown line before a comment"),
        pytest.param("image: web:{{ .Chart.Version }}\n", {"image": "web:⟦.Chart.Version⟧"}, id="an unknown end of a value"),
        pytest.param(
            'name: {{ .Release.Name }}\n{{- include "x.secrets" . }}\nkind: A\n',
            {"name": "⟦.Release.Name⟧", "kind": "A"},
            id="unknown lines behind a trimmed line break",
        ),
        pytest.param(
            "name:\n  {{ .Release.Name }}\nkind: A\n", {"name": "⟦.Release.Name⟧", "kind": "A"}, id="an unknown value on its own line"
        ),
        pytest.param("name: {{- .Release.Name }}\n", {"name": "⟦.Release.Name⟧"}, id="an unknown value behind a trimmed colon"),
        pytest.param(
            'args:\n- a\n{{- include "x.args" . | nindent 0 -}}\nimage: b\n',
            {"args": ["a"], "image": "b"},
            id="unknown lines trimmed on both sides",
        ),
        pytest.param(
            'a: |\n  {{- "k.json" | trimPrefix "x" | nindent 2 }}: 1\n', {"a": "k.json: 1\n"}, id="lines that go on behind what is indented"
        ),
        pytest.param(
            "a: b {{- /* the {{- if $x }} below isn't for 0. */ -}}\nc\n", {"a": "bc"}, id="a comment that holds an action and a quote"
        ),
        pytest.param("a: --x={{ toJson .Values.map }}\n", {"a": '--x={"b":{"c":1}}'}, id="JSON as Go writes it"),
        pytest.param(
            "---\n{{- if .Values.map -}}\n# why\nkind: A\n{{- end }}\n", {"kind": "A"}, id="a document whose first line break is trimmed"
        ),
        pytest.param('---\n{{- include "x.all" . }}\nkind: A\n', {"kind": "A"}, id="unknown lines behind the start of a document"),
    ],
)
def test_what_only_a_cluster_knows_leaves_the_rest_readable(template: str, expected: object) -> None:
    """Charts put named templates between keys, behind dashes and around line breaks; each object is read all the same."""
    text = helm.render(template.encode(), "t.yaml", {"map": {"b": {"c": 1}}}).text
    (document,) = [found for found in documents.yaml(text.encode(), "t.yaml") if found.plain_value() is not None]
    assert document.plain_value() == expected


def test_a_rendered_line_points_to_its_template() -> None:
    """An object's line is the line of the template, however many lines were left out or put in before it."""
    template = b"{{- if .Values.on }}\napiVersion: v1\n{{- range .Values.all }}\n# {{ . }}\n{{- end }}\nkind: ConfigMap\nmetadata:\n  name: x\n{{- end }}\n"
    (found,) = kubernetes.read(template, "t.yaml", b"on: true\nall: [1, 2, 3]\n", True).objects
    assert found.at(found.node, "kind") == 6
    assert found.templated


@pytest.mark.parametrize(
    "text", ["{{ range .Values.a }}" * 100, "{{ if", "{{ ((((((( }}", "{{ . | nindent 9999999 }}", "{{" * 5000, '{{ "' + "x" * 5000]
)
def test_a_hostile_template_is_bounded(text: str) -> None:
    """Deep or broken templates end in text or in Unreadable, never in another error."""
    with suppress(Unreadable):
        helm.render(text.encode(), "t.yaml", {"a": list(range(400))})


def test_loops_in_loops_run_out_of_budget() -> None:
    """A template that multiplies loops is refused."""
    text = "{{ range $.Values.a }}" * 5 + "x" + "{{ end }}" * 5
    with pytest.raises(Unreadable):
        helm.render(text.encode(), "t.yaml", {"a": list(range(400))})


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet='{}-| ."\nabcifenrgdlsV$()', max_size=120))
def test_any_text_renders_or_is_unreadable(text: str) -> None:
    """No template text leads to a crash."""
    with suppress(Unreadable):
        kubernetes.read(("apiVersion: v1\nkind: X\n" + text).encode(), "t.yaml", b"a: 1\n", True)


_PART = st.sampled_from(["*", "pods", "secrets", "pods/exec", "*/scale", "apps", "get"])
_ATOM = st.builds(Atom, st.sampled_from(["", "apps", "*"]), _PART, st.sampled_from(["get", "list", "*"]), st.sampled_from([None, "a"]))


@given(st.frozensets(_ATOM, max_size=6), st.frozensets(_ATOM, max_size=6))
def test_new_access_is_a_difference(head: frozenset[Atom], base: frozenset[Atom]) -> None:
    """Nothing is new against itself, everything against nothing, and what is new is covered by nothing at base."""
    assert rbac.new_access(head, head) == frozenset()
    assert rbac.new_access(head, frozenset()) == head
    gained = rbac.new_access(head, base)
    assert all(not rbac.covers(had, atom) for atom in gained for had in base)
    assert all(any(rbac.covers(had, atom) for had in base) for atom in head - gained)


def test_regrouped_rules_are_the_same_set() -> None:
    """Rules written together or apart allow the same."""
    together = documents.one_yaml(b"- apiGroups: ['']\n  resources: [pods, secrets]\n  verbs: [get, list]\n", "r.yaml")
    apart = documents.one_yaml(
        b"- apiGroups: ['']\n  resources: [secrets]\n  verbs: [list, get]\n- apiGroups: ['']\n  resources: [pods]\n  verbs: [get]\n"
        b"- apiGroups: ['']\n  resources: [pods]\n  verbs: [list]\n",
        "r.yaml",
    )
    assert rbac.atoms(together) == rbac.atoms(apart)


@pytest.mark.parametrize(
    ("atom", "severity"),
    [
        (Atom("*", "*", "*"), Severity.CRITICAL),
        (Atom("rbac.authorization.k8s.io", "clusterroles", "escalate"), Severity.CRITICAL),
        (Atom("", "users", "impersonate"), Severity.CRITICAL),
        (Atom("", "secrets", "list"), Severity.HIGH),
        (Atom("", "secrets", "get", "tls"), Severity.MODERATE),
        (Atom("", "pods/exec", "create"), Severity.HIGH),
        (Atom("", "serviceaccounts/token", "create"), Severity.HIGH),
        (Atom("apps", "deployments", "patch"), Severity.MODERATE),
        (Atom("", "configmaps", "get"), Severity.LOW),
        (Atom("coordination.k8s.io", "leases", "update"), Severity.LOW),
        (Atom("shop.example.com", "orders/finalizers", "update"), Severity.LOW),
    ],
)
def test_verbs_are_as_bad_as_what_they_lead_to(atom: Atom, severity: Severity) -> None:
    """Ways to the whole cluster are critical, ways to credentials high, reading configuration low."""
    assert rbac.severity_of(atom) is severity


def test_a_kustomization_reaches_through_folders() -> None:
    """What a kustomization of a kustomization names is reached, patches are told apart, remote bases stay names."""
    tree = MemoryTree(
        {
            "top/kustomization.yaml": b"resources: [../base, 'https://example.com/x.yaml']\npatches: [{path: p.yaml}]\n",
            "top/p.yaml": b"",
            "base/kustomization.yaml": b"resources: [web.yaml, ../top]\n",
            "base/web.yaml": b"",
            "base/loose.yaml": b"",
        }
    )
    assert set(kustomize.reach(tree, "top")) == {"base/web.yaml", "https://example.com/x.yaml"}
    assert kustomize.role_of(tree, "top/p.yaml") == "patch"
    assert kustomize.role_of(tree, "base/web.yaml") == "resource"
    assert kustomize.role_of(tree, "base/loose.yaml") == "unused"


@pytest.mark.parametrize(("prune", "answer"), [("true", True), ("false", False)])
def test_a_controller_in_the_repository_says_whether_it_prunes(prune: str, answer: bool) -> None:
    """Flux's own definition beside the manifests decides; without one nothing is known."""
    flux = (
        f"apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: a}}\nspec: {{path: ./apps, prune: {prune}}}\n"
    )
    tree = MemoryTree({"clusters/one/apps.yaml": flux.encode(), "apps/web.yaml": DEPLOYMENT.encode()})
    assert pruning.prunes(tree, "apps/web.yaml") is answer
    assert pruning.prunes(tree, "elsewhere/web.yaml") is None


def test_a_copy_that_stays_means_nothing_left() -> None:
    """An object that leaves one file while an unchanged neighbour holds it is still there."""
    bundle = f"{DEPLOYMENT}---\napiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\n"
    change = change_of({"k8s/web.yaml": DEPLOYMENT, "k8s/all.yaml": bundle}, {"k8s/all.yaml": bundle})
    assert [pair for pair in manifests(change, change.files).pairs if pair.new is None] == []
