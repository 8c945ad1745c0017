"""What guards the handlers of an application, and the switches that turn a protection off: read from syntax trees, never from bare words.

Sources: docs.djangoproject.com (settings, csrf, auth decorators), django-rest-framework.org, fastapi.tiangolo.com, flask-login and flask-wtf
documentation, expressjs.com, docs.nestjs.com/guards, trpc.io, nodejs.org/api/tls, pkg.go.dev/crypto/tls, docs.spring.io/spring-security,
guides.rubyonrails.org/security, requests.readthedocs.io, pyjwt.readthedocs.io, github.com/expressjs/cors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.kept import by_content
from checks.readers import syntax
from checks.readers.syntax import language_of, line, text

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class Handler:
    """A function, class, route or router with what is asked before it runs."""

    name: str
    guards: frozenset[str]
    opened: frozenset[str]
    """What says outright that anyone may."""
    line: int
    holds: bool = False
    """A class or router: its guards stand before everything in it."""
    within: str | None = None
    """For a statement that sets guards: the class or function it stands in, "" for the file."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A protection turned off."""

    kind: str
    """tls, token, forgery, origins, debug or hardening."""
    what: str
    """As written, shortened."""
    scope: str
    """The function, class or file it stands in."""
    line: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All of a file."""

    handlers: tuple[Handler, ...] = ()
    switches: tuple[Switch, ...] = ()


_ASKED = r"auth|login|permission|role|staff|admin|scope|token|jwt|csrf|session|superuser|mfa|otp|2fa|verified|owner|member|api_?key|signed_in|polic(?:y|ies)|acl|access|entitle|tenant|rbac"
NAME = 200
"""Characters of a name that can be a guard's."""
_GUARD = re.compile(
    rf"(?:\w*(?:{_ASKED})\w*required|require[sd]?\w*(?:{_ASKED})\w*|(?:ensure|check|verify|validate|assert|protect|restrict|enforce|is|has|can|use|with|jwt|basic|bearer|oauth|passport)_?\w*(?:{_ASKED}|user)\w*|"
    rf"authenticate\w*[!?]?|authorize\w*[!?]?|authorization|\w*auth(?:entication|orization)?_?(?:middleware|guard|check|handler)?|permission_classes|authentication_classes|user_passes_test|"
    rf"csrf\w*|protect_from_forgery|helmet|\w*rate_?limit\w*|\w*limiter|throttle\w*|get_current_\w*user\w*|get_\w*(?:admin|current_user)\w*|current_\w*user\w*|\w*guard|"
    rf"preauthorize|secured|rolesallowed|requirerole\w*|login_?required\w*|loginrequiredmixin|permissionrequiredmixin|userpassestestmixin|accessmixin|limit)\Z",
    re.IGNORECASE,
)
_NO_GUARD = re.compile(
    r"optional|author\b|authors|test|mock|skip|allow_?any|no_?auth|oauth2?_?(?:callback|client)|log_?(?:in|out)$|without|exempt|without_?csrf|disable|anonymous|public",
    re.IGNORECASE,
)
_OPEN = re.compile(
    r"(?:AllowAny|AllowAnonymous|PermitAll|csrf_exempt|Public|SkipAuth|IsPublic|NoAuth|allow_unauthenticated_access|login_not_required|xframe_options_exempt|Unprotected|Anonymous)\Z"
)
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "all", "route", "options", "head"})
_HOLDERS = re.compile(r"(?:app|server|router|routes|api|fastify|r|e|mux|group|g|engine|[a-z]\w*(?:Router|App|Api|Routes|Server))\Z")

_HINTS = {
    "script": re.compile(
        rb"""(?m)procedure|rejectunauthori[sz]ed|strictssl|insecureskip|reject_unauthorized|cors\b|origin\b|access-control|^\s*@\w|ignoreexpiration|contentsecuritypolicy|"""
        rb"""checkserveridentity|algorithms|httponly|hsts|frameguard|\.use\(|\.(?:get|post|put|patch|delete|all|route|options)\(\s*["'`]/|"""
        rb"""^\s*\[?[\w.]*(?:auth|guard|require|limit|permission|role|session|csrf|admin|protect|login)[\w.]*(?:\([^)]*\))?\]?,?\s*$"""
    ),
    "python": re.compile(
        rb"(?m)^\s*@|depends\(|security\(|_classes|mixin|verify|cert|ssl|csrf|cors|origins|debug|middleware|_secure|_httponly|host_key|allowany|apirouter"
    ),
    "go": re.compile(
        rb"(?m)insecure|origins|\.(?:use|with|get|post|put|patch|delete|handle|handlefunc|any|method)\(|^\s*[\w.]*(?:auth|guard|require|limit|csrf|session)[\w.]*(?:\([^)]*\))?,\s*$"
    ),
    "java": re.compile(rb"(?m)^\s*@|csrf|permitall|hostname|origin|headers\("),
    "ruby": re.compile(rb"(?m)_action|_filter|forgery|verify_|unauthenticated|skip_auth|force_ssl|consider_all"),
}


_WORDS = re.compile(
    rb"auth|guard|permi|requir|login|session|csrf|forgery|limit|thrott|helmet|user|role|admin|staff|token|jwt|verif|secur|protect|polic|access|scope|owner|"
    rb"tenant|member|mfa|otp|2fa|acl|rbac|entitle|signed|cert|ssl|tls|cors|origin|debug|allow|anonymous|public|skip|exempt|disab|ignor|trust|reject|strict|"
    rb"hostname|host_key|headers|force|consider_all|mixin|algorithm|hsts|frame|_action|_filter|procedure|middleware|httponly|api_?key|superuser"
)
"""A route or decorator without any of these words neither has a guard nor takes one off: most of what a language's hints find ends here."""


def speaks_of_guards(lines: Iterable[bytes], path: str) -> bool:
    """Whether any of these lines may speak of guards: where none that differs does, the facts of both sides are the same."""
    expression = _HINTS.get(language_of(path) or "", _HINTS["script"])
    # Small letters first: a search that ignores case is several times slower.
    text = b"\n".join(lines).lower()
    if not _WORDS.search(text):
        return False
    looked = -1
    for found in expression.finditer(text):
        if found.start() < looked:
            continue
        start, end = text.rfind(b"\n", 0, found.start() + 1) + 1, text.find(b"\n", found.end())
        looked = end if end >= 0 else len(text)
        if _WORDS.search(text, start, looked):
            return True
    return False


def _is_guard(name: str) -> bool:
    return len(name) <= NAME and _GUARD.match(name) is not None and not _NO_GUARD.search(name)


@by_content(4096)
def facts(data: bytes, path: str) -> Facts:
    """The guards and switches of a source file; nothing for a language that is not read here. Raises `Unreadable`."""
    language = language_of(path)
    if language is None:
        return Facts()
    root = syntax.tree(data, path, language).root_node
    read = {"python": _python, "go": _go, "java": _java, "ruby": _ruby}.get(language, _script)
    handlers: list[Handler] = []
    switches: list[Switch] = []
    for found in read(root, path):
        if isinstance(found, Handler):
            handlers.append(found)
        else:
            switches.append(found)
    return Facts(tuple(handlers), tuple(switches))


def _last(name: str) -> str:
    return re.split(r"[.:]+", name.split("(")[0].strip())[-1]


def _scope(node: Node) -> str:
    """The names of the functions and classes around a node, the innermost last."""
    names: list[str] = []
    here = node.parent
    while here is not None:
        if here.type in (
            "function_definition",
            "class_definition",
            "function_declaration",
            "method_definition",
            "class_declaration",
            "method_declaration",
            "method",
            "class",
            "module",
            "variable_declarator",
            "public_field_definition",
        ):
            name = text(here.child_by_field_name("name"))
            if name:
                names.append(name)
        here = here.parent
    return ".".join(reversed(names))


def _everything(root: Node) -> Iterator[Node]:
    return syntax.walk(root, lambda node: node.type not in _CLOSED)


_CLOSED = frozenset(
    {
        "comment", "string", "template_string", "string_literal", "type_annotation", "interface_declaration", "type_alias_declaration",
        "import_statement", "jsx_element", "jsx_self_closing_element", "interpreted_string_literal", "type_arguments", "import_declaration",
    }
)  # fmt: skip
"""Nodes below which no guard stands."""


# --- Python ------------------------------------------------------------------------------------------------------------------------------

_PYTHON_OFF = {
    "CORS_ALLOW_ALL_ORIGINS": ("origins", "True"), "CORS_ORIGIN_ALLOW_ALL": ("origins", "True"),
    "SESSION_COOKIE_SECURE": ("hardening", "False"), "CSRF_COOKIE_SECURE": ("hardening", "False"), "SECURE_SSL_REDIRECT": ("hardening", "False"),
    "SESSION_COOKIE_HTTPONLY": ("hardening", "False"), "WTF_CSRF_ENABLED": ("forgery", "False"), "check_hostname": ("tls", "False"),
}  # fmt: skip
_PYTHON_KEYWORDS = {
    ("verify", "False"): "tls", ("verify_ssl", "False"): "tls", ("ssl_verify", "False"): "tls", ("verify_certs", "False"): "tls", ("check_hostname", "False"): "tls",
    ("validate_certs", "False"): "tls", ("tls_verify", "False"): "tls", ("ssl", "False"): "tls", ("cert_reqs", "CERT_NONE"): "tls",
    ("verify_signature", "False"): "token", ("verify_exp", "False"): "token", ("verify_aud", "False"): "token",
}  # fmt: skip
_SETTINGS = re.compile(r"(?:^|/)(?:settings|config|production|prod|base|common)(?:[^/]*)\.py\Z|/settings/[^/]+\.py\Z")


def _python(root: Node, path: str) -> Iterator[Handler | Switch]:
    for node in _everything(root):
        if node.type == "decorated_definition":
            definition = node.child_by_field_name("definition")
            marks = [text(child)[1:] for child in node.named_children if child.type == "decorator"]
            yield from _python_handler(definition or node, marks)
        elif node.type in ("class_definition", "function_definition") and (
            node.parent is None or node.parent.type != "decorated_definition"
        ):
            yield from _python_handler(node, [])
        elif node.type == "assignment":
            yield from _python_assignment(node, path)
        elif node.type == "call":
            yield from _python_call(node)
        elif node.type == "pair" and text(node.child_by_field_name("value")) == "False":
            key = text(node.child_by_field_name("key")).strip("\"'")
            if key in ("verify_signature", "verify_exp", "verify_aud"):
                yield Switch("token", f"{key}: False", _scope(node), line(node))


_DEPENDS = re.compile(r"\b(?:Depends|Security)\(\s*([\w.]+)")


def _python_handler(node: Node, marks: list[str]) -> Iterator[Handler]:
    name = text(node.child_by_field_name("name"))
    guards: set[str] = set()
    opened: set[str] = set()
    for mark in marks:
        last = _last(mark)
        if _OPEN.match(last) or "AllowAny" in mark:
            opened.add("AllowAny" if "AllowAny" in mark else last)
        elif _is_guard(last) and last not in ("limit",):
            guards.add(last)
        elif last == "limit" and "limit" in mark.lower():
            guards.add("limit")
        guards.update(_last(found) for found in _DEPENDS.findall(mark) if _is_guard(_last(found)))
    parameters = node.child_by_field_name("parameters")
    if parameters is not None:
        guards.update(_last(found) for found in _DEPENDS.findall(text(parameters)) if _is_guard(_last(found)))
    if node.type == "class_definition":
        bases = node.child_by_field_name("superclasses")
        guards.update(
            _last(text(base))
            for base in (bases.named_children if bases else [])
            if _is_guard(_last(text(base))) and text(base).endswith("Mixin")
        )
        body = node.child_by_field_name("body")
        for statement in body.named_children if body else []:
            inner = statement.named_child(0) if statement.type == "expression_statement" else None
            if (
                inner is not None
                and inner.type == "assignment"
                and text(inner.child_by_field_name("left")) in ("permission_classes", "authentication_classes")
            ):
                names = re.findall(r"\w+", text(inner.child_by_field_name("right")))
                opened.update({"AllowAny"} & set(names))
                guards.update(found for found in names if found[:1].isupper() and found not in ("AllowAny", "Union", "Tuple", "List"))
    yield Handler(
        ".".join(filter(None, (_scope(node), name))), frozenset(guards), frozenset(opened), line(node), node.type == "class_definition"
    )


def _python_assignment(node: Node, path: str) -> Iterator[Handler | Switch]:
    left, right = _last(text(node.child_by_field_name("left"))), node.child_by_field_name("right")
    value = text(right)
    if left in _PYTHON_OFF and value == _PYTHON_OFF[left][1]:
        yield Switch(_PYTHON_OFF[left][0], f"{left} = {value}", _scope(node), line(node))
    elif (
        left == "DEBUG"
        and value == "True"
        and _SETTINGS.search(path)
        and not re.search(r"dev|local|test", path.lower())
        and not _scope(node)
    ):
        yield Switch("debug", "DEBUG = True", "", line(node))
    elif left == "verify_mode" and value.endswith("CERT_NONE"):
        yield Switch("tls", "verify_mode = CERT_NONE", _scope(node), line(node))
    elif left == "_create_default_https_context" and "unverified" in value:
        yield Switch("tls", value[:60], _scope(node), line(node))
    elif left == "MIDDLEWARE" and right is not None and right.type == "list":
        names = {_last(text(item).strip("\"'")) for item in right.named_children if item.type == "string"}
        kept = frozenset(name for name in names if re.search(r"Csrf|Security|Authentication|XFrame|Session|RateLimit|Axes|CSP", name))
        yield Handler("MIDDLEWARE", kept, frozenset(), line(node), True)
    elif right is not None and right.type == "call" and _last(text(right.child_by_field_name("function"))) in ("APIRouter", "FastAPI"):
        guards = frozenset(_last(found) for found in _DEPENDS.findall(value) if _is_guard(_last(found)))
        yield Handler(f"router {left}", guards, frozenset(), line(node), True)


def _python_call(node: Node) -> Iterator[Switch]:
    function = text(node.child_by_field_name("function"))
    arguments = node.child_by_field_name("arguments")
    last = _last(function)
    if last == "_create_unverified_context":
        yield Switch("tls", last, _scope(node), line(node))
    if last in ("set_missing_host_key_policy",) and "AutoAddPolicy" in text(arguments):
        yield Switch("tls", "AutoAddPolicy", _scope(node), line(node))
    for argument in arguments.named_children if arguments is not None and arguments.type == "argument_list" else []:
        if argument.type != "keyword_argument":
            continue
        name, value = text(argument.child_by_field_name("name")), text(argument.child_by_field_name("value"))
        kind = _PYTHON_KEYWORDS.get((name, _last(value)))
        if (
            kind == "tls"
            and name in ("verify", "ssl")
            and not re.search(
                r"request|http|client|session|connector|get|post|put|patch|delete|head|fetch|boto|resource|connect|api|decode|urlopen|send",
                function,
                re.IGNORECASE,
            )
        ):
            kind = None
        if kind == "tls" and name == "verify" and "jwt" in function.lower():
            kind = "token"
        if kind:
            yield Switch(kind, f"{name}={value}", _scope(node), line(argument))
        elif name == "allow_origins" and re.fullmatch(r"[\[(]\s*[\"']\*[\"']\s*,?\s*[\])]", value):
            yield Switch("origins", "allow_origins=*", _scope(node), line(argument))
        elif name == "debug" and value == "True" and last == "run" and function.startswith(("app.", "application.", "server.")):
            yield Switch("debug", "run(debug=True)", _scope(node), line(argument))


# --- JavaScript and TypeScript -----------------------------------------------------------------------------------------------------------

_SCRIPT_PAIRS = {
    ("rejectUnauthorized", "false"): "tls", ("strictSSL", "false"): "tls", ("insecureSkipVerify", "true"): "tls", ("rejectUnauthorised", "false"): "tls",
    ("ignoreExpiration", "true"): "token", ("contentSecurityPolicy", "false"): "hardening", ("frameguard", "false"): "hardening", ("hsts", "false"): "hardening",
    ("httpOnly", "false"): "hardening",
}  # fmt: skip
_PROCEDURE = re.compile(
    r"(?:protected|authed|authenticated|admin|private|restricted|secure)\w*(?:Procedure|Action)|\w*(?:Protected|Authed|Authenticated)\w*Procedure"
)
_PUBLIC = re.compile(r"(?:public|open|unauthenticated|anonymous|base)\w*(?:Procedure|Action)")


def _script(root: Node, path: str) -> Iterator[Handler | Switch]:
    for node in _everything(root):
        kind = node.type
        if kind == "pair":
            yield from _script_pair(node)
        elif kind == "assignment_expression":
            left, right = text(node.child_by_field_name("left")), text(node.child_by_field_name("right"))
            if left.endswith("NODE_TLS_REJECT_UNAUTHORIZED") and right.strip("\"'`") == "0":
                yield Switch("tls", "NODE_TLS_REJECT_UNAUTHORIZED = 0", _scope(node), line(node))
        elif kind == "call_expression":
            yield from _script_call(node)
        elif kind in ("class_declaration", "method_definition"):
            yield from _script_decorated(node)


def _script_pair(node: Node) -> Iterator[Handler | Switch]:
    key, value = text(node.child_by_field_name("key")).strip("\"'"), node.child_by_field_name("value")
    written = text(value) if value is not None and value.end_byte - value.start_byte < 400 else ""
    if (key, written) in _SCRIPT_PAIRS:
        yield Switch(_SCRIPT_PAIRS[(key, written)], f"{key}: {written}", _scope(node), line(node))
    elif key == "NODE_TLS_REJECT_UNAUTHORIZED" and written.strip("\"'`") == "0":
        yield Switch("tls", f"{key}: 0", _scope(node), line(node))
    elif key == "checkServerIdentity" and re.fullmatch(r"\(\)\s*=>\s*(?:undefined|null|\{\s*\})", written):
        yield Switch("tls", "checkServerIdentity off", _scope(node), line(node))
    elif key == "algorithms" and re.search(r"[\"']none[\"']", written):
        yield Switch("token", "algorithms: none", _scope(node), line(node))
    elif key == "origin" and written.strip("\"'`") in ("*", "true") and _inside_cors(node):
        yield Switch("origins", f"origin: {written}", _scope(node), line(node))
    elif value is not None and value.type in ("call_expression", "member_expression"):
        root = value
        while root is not None and root.type in ("call_expression", "member_expression"):
            root = root.child_by_field_name("function") or root.child_by_field_name("object")  # type: ignore[assignment]
        name = text(root) if root is not None and root.type == "identifier" else ""
        if _PROCEDURE.fullmatch(name):
            yield Handler(f"{_scope(node)}.{key}", frozenset({name}), frozenset(), line(node))
        elif name:
            yield Handler(f"{_scope(node)}.{key}", frozenset(), frozenset({name} if _PUBLIC.fullmatch(name) else ()), line(node))


def _inside_cors(node: Node) -> bool:
    here = node.parent
    for _ in range(6):
        if here is None:
            return False
        if here.type == "call_expression":
            called = text(here.child_by_field_name("function"))
            return "cors" in called.lower() or "cors" in text(here.child_by_field_name("arguments"))[:60].lower()
        if here.type == "pair" and "cors" in text(here.child_by_field_name("key")).lower():
            return True
        if here.type == "variable_declarator" and "cors" in text(here.child_by_field_name("name")).lower():
            return True
        here = here.parent
    return False


def _named(node: Node) -> str:
    """The last name of an identifier, member or call: `auth.required()` → required is too little, so `auth.required`."""
    while node.type in ("call_expression", "await_expression"):
        node = node.child_by_field_name("function") or node.children[0]
        if node.type == "await_expression":
            break
    return text(node) if node.type in ("identifier", "member_expression") else ""


def _script_call(node: Node) -> Iterator[Handler | Switch]:
    function = node.child_by_field_name("function")
    arguments = node.child_by_field_name("arguments")
    if function is None or arguments is None or arguments.type != "arguments":
        return
    given = [child for child in arguments.named_children if child.type != "comment"]
    if function.type == "identifier" and text(function) == "cors" and not given:
        yield Switch("origins", "cors()", _scope(node), line(node))
    if function.type != "member_expression":
        return
    verb, holder = text(function.child_by_field_name("property")), text(function.child_by_field_name("object"))
    if (
        verb in ("setHeader", "header", "set", "append")
        and len(given) == 2
        and text(given[0]).strip("\"'").lower() == "access-control-allow-origin"
    ) and text(given[1]).strip("\"'") == "*":
        yield Switch("origins", "Access-Control-Allow-Origin: *", _scope(node), line(node))
    if not _HOLDERS.match(_last(holder)) or not given:
        return
    first = text(given[0]).strip("\"'`") if given[0].type in ("string", "template_string") else ""
    names = frozenset(name for child in given if (name := _named(child)) and any(_is_guard(part) for part in name.split(".")))
    if verb == "use" and names:
        yield Handler(f"{holder}.use {first}", names, frozenset(), line(node), True, _scope(node))
    elif verb in _VERBS and first.startswith("/") and len(given) > 1:
        inline = [
            m
            for child in given
            if child.type == "object"
            for m in re.findall(r"\b(?:preHandler|onRequest|preValidation|middleware)\s*:\s*\[?([\w.,\s]+)", text(child)[:800])
        ]
        hooks = frozenset(
            name for group in inline for name in re.findall(r"[\w.]+", group) if any(_is_guard(part) for part in name.split("."))
        )
        yield Handler(f"{verb.upper()} {first}", names | hooks, frozenset(), line(node))


def _script_decorated(node: Node) -> Iterator[Handler]:
    marks = [text(child)[1:] for child in node.named_children if child.type == "decorator"]
    previous = node.prev_named_sibling
    while previous is not None and previous.type == "decorator":
        marks.append(text(previous)[1:])
        previous = previous.prev_named_sibling
    guards: set[str] = set()
    opened: set[str] = set()
    for mark in marks:
        last = _last(mark)
        if last in ("UseGuards", "Throttle", "Roles", "RequirePermissions", "Auth", "Authorized", "Permissions"):
            guards.update(re.findall(r"\w+", mark) if last == "UseGuards" else [last])
        elif _OPEN.match(last):
            opened.add(last)
    name = text(node.child_by_field_name("name"))
    yield Handler(
        ".".join(filter(None, (_scope(node), name))), frozenset(guards), frozenset(opened), line(node), node.type == "class_declaration"
    )


# --- Go ----------------------------------------------------------------------------------------------------------------------------------


def _go(root: Node, path: str) -> Iterator[Handler | Switch]:
    for node in _everything(root):
        if node.type == "keyed_element" and len(node.named_children) == 2:
            key, value = (text(child) for child in node.named_children)
            if key == "InsecureSkipVerify" and value == "true":
                yield Switch("tls", "InsecureSkipVerify: true", _scope(node), line(node))
            elif key in ("AllowAllOrigins",) and value == "true":
                yield Switch("origins", "AllowAllOrigins: true", _scope(node), line(node))
            elif key in ("AllowOrigins", "AllowedOrigins") and re.fullmatch(r"\[\]string\{\s*\"\*\"\s*,?\s*\}", value):
                yield Switch("origins", f"{key}: *", _scope(node), line(node))
        elif node.type in ("function_declaration", "method_declaration"):
            yield Handler(
                ".".join(filter(None, (_scope(node), text(node.child_by_field_name("name"))))), frozenset(), frozenset(), line(node)
            )
        elif node.type == "assignment_statement" and re.fullmatch(r"[\w.]+\.InsecureSkipVerify\s*=\s*true", text(node)):
            yield Switch("tls", "InsecureSkipVerify = true", _scope(node), line(node))
        elif node.type == "call_expression":
            function = text(node.child_by_field_name("function"))
            arguments = node.child_by_field_name("arguments")
            if function == "ssh.InsecureIgnoreHostKey":
                yield Switch("tls", function, _scope(node), line(node))
            holder, _, verb = function.rpartition(".")
            if arguments is None or not holder or not _HOLDERS.match(_last(holder)):
                continue
            given = arguments.named_children
            names = frozenset(name for child in given if (name := text(child).split("(")[0]) and _is_guard(_last(name)))
            first = text(given[0]).strip('"`') if given and given[0].type.endswith("string_literal") else ""
            if verb in ("Use", "With") and names:
                yield Handler(f"{_scope(node)} {holder}.{verb}", names, frozenset(), line(node), True, _scope(node))
            elif verb.upper() in ("GET", "POST", "PUT", "PATCH", "DELETE", "HANDLE", "HANDLEFUNC", "ANY", "METHOD") and first.startswith(
                "/"
            ):
                inner = frozenset(re.findall(r"\w+", " ".join(text(child) for child in given[1:] if child.type == "call_expression")[:400]))
                yield Handler(f"{verb.upper()} {first}", names | frozenset(n for n in inner if _is_guard(n)), frozenset(), line(node))


# --- Java --------------------------------------------------------------------------------------------------------------------------------

_JAVA_GUARDS = (
    "PreAuthorize",
    "Secured",
    "RolesAllowed",
    "PostAuthorize",
    "RateLimiter",
    "RequiresPermissions",
    "RequiresRoles",
    "RequiresAuthentication",
    "Authenticated",
)


def _java(root: Node, path: str) -> Iterator[Handler | Switch]:
    for node in _everything(root):
        if node.type in ("class_declaration", "method_declaration"):
            marks = next((child for child in node.named_children if child.type == "modifiers"), None)
            names = {_last(text(child)[1:]): text(child) for child in (marks.named_children if marks else []) if "annotation" in child.type}
            guards = frozenset(name for name in names if name in _JAVA_GUARDS)
            opened = frozenset(name for name in names if name in ("PermitAll", "AnonymousAllowed"))
            if "CrossOrigin" in names and ('"*"' in names["CrossOrigin"] or "(" not in names["CrossOrigin"]):
                yield Switch("origins", "@CrossOrigin", _scope(node), line(node))
            name = ".".join(filter(None, (_scope(node), text(node.child_by_field_name("name")))))
            yield Handler(name, guards, opened, line(node), node.type == "class_declaration")
        elif node.type == "method_invocation":
            name = text(node.child_by_field_name("name"))
            arguments = re.sub(r"\s+", "", text(node.child_by_field_name("arguments")))[:120]
            inner = node.child_by_field_name("object")
            holder = text(inner.child_by_field_name("name")) if inner is not None and inner.type == "method_invocation" else text(inner)
            if (name == "disable" and holder == "csrf") or (name == "csrf" and "disable" in arguments):
                yield Switch("forgery", "csrf disabled", _scope(node), line(node))
            elif (name == "disable" and holder == "headers") or (name == "headers" and "::disable" in arguments):
                yield Switch("hardening", "security headers disabled", _scope(node), line(node))
            elif name == "permitAll" and holder == "anyRequest":
                yield Switch("open", "anyRequest().permitAll()", _scope(node), line(node))
            elif name in ("setHostnameVerifier", "setSSLHostnameVerifier", "hostnameVerifier") and re.search(
                r"Noop|->true|ALLOW_ALL", arguments
            ):
                yield Switch("tls", "host name verifier off", _scope(node), line(node))
            elif (
                name in ("allowedOrigins", "setAllowedOrigins", "addAllowedOrigin", "allowedOriginPatterns", "addAllowedOriginPattern")
                and '"*"' in arguments
            ):
                yield Switch("origins", f"{name}(*)", _scope(node), line(node))


# --- Ruby --------------------------------------------------------------------------------------------------------------------------------


def _ruby(root: Node, path: str) -> Iterator[Handler | Switch]:
    production = path.endswith("production.rb")
    for node in _everything(root):
        if node.type == "class":
            yield Handler(
                ".".join(filter(None, (_scope(node), text(node.child_by_field_name("name"))))), frozenset(), frozenset(), line(node), True
            )
        if node.type in ("call", "identifier") and node.parent is not None and node.parent.type in ("body_statement", "program"):
            name = text(node.child_by_field_name("method")) if node.type == "call" else text(node)
            given = text(node.child_by_field_name("arguments")) if node.type == "call" else ""
            scope = _scope(node)
            asked = [word for word in re.findall(r"(?<!\w):([\w!?]+)", given.split("only:")[0].split("except:")[0]) if _is_guard(word)]
            if name in ("before_action", "prepend_before_action", "before_filter") and asked:
                yield Handler(f"{scope} before_action", frozenset(asked), frozenset(), line(node), True, scope)
            elif name == "protect_from_forgery":
                yield Handler(f"{scope} protect_from_forgery", frozenset({name}), frozenset(), line(node), True, scope)
            elif name in ("skip_before_action", "skip_before_filter") and (asked or "verify_authenticity_token" in given):
                token = "verify_authenticity_token" in given
                limit = all("limit" in word or "throttle" in word for word in asked)
                yield Switch(
                    "forgery" if token else "hardening" if limit else "open", f"{name} {' '.join(given.split())[:60]}", scope, line(node)
                )
            elif name in ("allow_unauthenticated_access", "skip_authentication"):
                yield Switch("open", f"{name} {' '.join(given.split())[:60]}".strip(), scope, line(node))
        elif node.type == "assignment":
            left, right = text(node.child_by_field_name("left")), text(node.child_by_field_name("right"))
            if left.endswith("verify_mode") and right.endswith("VERIFY_NONE"):
                yield Switch("tls", "VERIFY_NONE", _scope(node), line(node))
            elif production and left.endswith("force_ssl") and right == "false":
                yield Switch("hardening", "force_ssl = false", "", line(node))
            elif production and left.endswith("consider_all_requests_local") and right == "true":
                yield Switch("debug", "consider_all_requests_local = true", "", line(node))
        elif node.type == "pair" and text(node).replace(" ", "").endswith("VERIFY_NONE"):
            yield Switch("tls", "VERIFY_NONE", _scope(node), line(node))
