"""Check runs, check suites and commit statuses, with the limits GitHub sets them."""

from __future__ import annotations

from typing import Any

from bot.demo.standin import git, hooks, shapes
from bot.demo.standin.state import App, CheckRun, CheckSuite, Repository, Status, User, World, stamp
from bot.demo.standin.wire import Answer, Call, Refusal, Route, invalid, not_found

CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
STATES = ("queued", "in_progress", "completed")
LONGEST_OUTPUT = 65535
MOST_ANNOTATIONS = 50
MOST_ACTIONS = 3
_ACTION = {"label": 20, "description": 40, "identifier": 20}
_ANNOTATION = {"message": 65536, "title": 255, "raw_details": 65536}
LEVELS = ("notice", "warning", "failure")


def wrong(where: str, what: str) -> Refusal:
    """A 422 of the layer that checks a request against its description."""
    return Refusal(422, f"Invalid request.\n\nFor '{where}', {what}.")


def commit_of(repository: Repository, sha: str) -> str:
    """The commit, or the 422 for a SHA nobody pushed."""
    found = git.resolve(repository.path, sha) if len(sha) == 40 else None
    if found != sha:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    return sha


def suite_of(world: World, repository: Repository, app: App, sha: str) -> CheckSuite:
    """The suite of an App on a commit, made when it is first needed."""
    for suite in repository.suites.values():
        if suite.app is app and suite.head_sha == sha:
            return suite
    branches = [name.removeprefix("refs/heads/") for name, tip in repository.refs.items() if tip == sha and name.startswith("refs/heads/")]
    suite = CheckSuite(world.id(), app, sha, branches[0] if branches else None, world.now(), world.now())
    repository.suites[suite.id] = suite
    return suite


def verify(fields: dict[str, Any]) -> None:
    """Hold a create or update against its description: types, lengths, counts."""
    for name in ("name", "head_sha", "external_id", "details_url", "status", "conclusion", "started_at", "completed_at"):
        if name in fields and not isinstance(fields[name], str):
            raise wrong(f"properties/{name}", f"{fields[name]!r} is not a string")
    if "status" in fields and fields["status"] not in STATES:
        raise wrong("properties/status", f"{fields['status']} is not a member of {list(STATES)}")
    if "conclusion" in fields and fields["conclusion"] not in CONCLUSIONS:
        raise wrong("properties/conclusion", f"{fields['conclusion']} is not a member of {list(CONCLUSIONS)}")
    for place, action in enumerate(_list(fields, "actions", MOST_ACTIONS)):
        for name, longest in _ACTION.items():
            value = action.get(name) if isinstance(action, dict) else None
            if not isinstance(value, str) or len(value) > longest:
                raise wrong(f"properties/actions/{place}/{name}", f"it must be a string of at most {longest} characters")
    if "output" in fields:
        _verify_output(fields["output"])


def _list(fields: dict[str, Any], name: str, most: int) -> list[Any]:
    value = fields.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise wrong(f"properties/{name}", f"it must be a list of at most {most}")
    return value


def _verify_output(output: Any) -> None:
    if not isinstance(output, dict) or not isinstance(output.get("summary"), str):
        raise wrong("properties/output", "summary is missing")
    for name in ("summary", "text"):
        if len(output.get(name) or "") > LONGEST_OUTPUT:
            raise wrong(f"properties/output/{name}", f"only {LONGEST_OUTPUT} characters are allowed")
    for place, one in enumerate(_list(output, "annotations", MOST_ANNOTATIONS)):
        where = f"properties/output/annotations/{place}"
        if not isinstance(one, dict) or any(name not in one for name in ("path", "start_line", "end_line", "annotation_level", "message")):
            raise wrong(where, "a required property is missing")
        if one["annotation_level"] not in LEVELS:
            raise wrong(f"{where}/annotation_level", f"it is not a member of {list(LEVELS)}")
        if not isinstance(one["start_line"], int) or not isinstance(one["end_line"], int) or one["end_line"] < one["start_line"]:
            raise wrong(f"{where}/end_line", "it is before start_line")
        if one["start_line"] != one["end_line"] and ("start_column" in one or "end_column" in one):
            raise wrong(f"{where}/start_column", "columns are for annotations of one line")
        for name, longest in _ANNOTATION.items():
            if len(str(one.get(name) or "").encode()) > longest:
                raise wrong(f"{where}/{name}", f"only {longest} bytes are allowed")


def apply(run: CheckRun, fields: dict[str, Any], moment: float) -> None:
    """Write the fields of a create or update into a run, in the order GitHub draws conclusions from them."""
    status = fields.get("status")
    if fields.get("conclusion") or fields.get("completed_at"):
        status = "completed"
    if run.status == "completed" and status not in (None, "completed"):
        raise invalid("CheckRun", "status", "invalid", "a completed check run cannot be put back")
    if status == "completed" and not (fields.get("conclusion") or run.conclusion):
        raise Refusal(422, 'Invalid request.\n\n"conclusion" wasn\'t supplied.')
    run.status = status or run.status
    run.conclusion = fields.get("conclusion", run.conclusion)
    run.name = fields.get("name", run.name)
    run.external_id = fields.get("external_id", run.external_id)
    run.details_url = fields.get("details_url", run.details_url)
    run.started_at = fields.get("started_at", run.started_at or stamp(moment))
    if run.status == "completed":
        run.completed_at = fields.get("completed_at", run.completed_at or stamp(moment))
    output = fields.get("output", {})
    run.title = output.get("title", run.title)
    run.summary = output.get("summary", run.summary)
    run.text = output.get("text", run.text)
    run.annotations = [*run.annotations, *output.get("annotations", [])]
    run.actions = fields.get("actions", run.actions)


def tell(world: World, repository: Repository, run: CheckRun, action: str, sender: User, **more: Any) -> list[Any]:
    """Send the check_run event."""
    drawn = shapes.check_run(world, repository, run)
    drawn["check_suite"] = _suite_in_run(world, repository, run)
    return hooks.emit(world, "check_run", action, {"check_run": drawn, **more}, sender=sender, repository=repository, owner=run.app)


def _suite_in_run(world: World, repository: Repository, run: CheckRun) -> dict[str, Any]:
    drawn = shapes.suite(world, repository, run.suite)
    names = ("id", "node_id", "head_branch", "head_sha", "status", "conclusion", "url", "before", "after", "pull_requests", "app")
    return {name: drawn[name] for name in (*names, "created_at", "updated_at")}


def tell_suite(world: World, repository: Repository, suite: CheckSuite, action: str, sender: User) -> list[Any]:
    """Send the check_suite event."""
    drawn = shapes.suite(world, repository, suite)
    del drawn["repository"]  # It stands beside the suite in the event.
    body = {"check_suite": drawn}
    return hooks.emit(world, "check_suite", action, body, sender=sender, repository=repository, owner=suite.app)


def record(world: World, repository: Repository, app: App, fields: dict[str, Any]) -> CheckRun:
    """Make a check run for an App; checks the fields first."""
    verify(fields)
    sha = commit_of(repository, fields["head_sha"])
    suite = suite_of(world, repository, app, sha)
    run = CheckRun(world.id(), app, suite, fields["name"], sha)
    apply(run, fields, world.now())
    suite.requested, suite.updated_at = True, world.now()
    repository.check_runs[run.id] = run
    return run


def settled(world: World, repository: Repository, run: CheckRun, was: str, sender: User) -> list[Any]:
    """Tell what a change of a run set off: the run completed, perhaps its suite with it."""
    if run.status != "completed" or was == "completed":
        return []
    told = tell(world, repository, run, "completed", sender)
    if shapes.suite_outcome(repository, run.suite)[0] == "completed":
        told += tell_suite(world, repository, run.suite, "completed", sender)
    return told


def create(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/check-runs"""
    for name in ("name", "head_sha"):
        if name not in call.fields:
            raise Refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    assert call.actor.installation is not None
    run = record(call.world, call.repository, call.actor.installation.app, call.fields)
    tell(call.world, call.repository, run, "created", call.user)
    settled(call.world, call.repository, run, "queued", call.user)
    return Answer(201, shapes.check_run(call.world, call.repository, run))


def _run(call: Call) -> CheckRun:
    run = call.repository.check_runs.get(call.number("check_run_id"))
    if run is None:
        raise not_found()
    return run


def update(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}"""
    run = _run(call)
    if call.actor.installation is None or call.actor.installation.app is not run.app:
        raise Refusal(403, "Invalid app_id `" + str(call.user.id) + "` - check run can only be modified by the GitHub App that created it.")
    if "head_sha" in call.fields:
        raise wrong("links/2/schema", '"head_sha" is not a permitted key')
    verify(call.fields)
    was = run.status
    apply(run, call.fields, call.world.now())
    run.suite.updated_at = call.world.now()
    settled(call.world, call.repository, run, was, call.user)
    return Answer(200, shapes.check_run(call.world, call.repository, run))


def show(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/check-runs/{check_run_id}"""
    return Answer(200, shapes.check_run(call.world, call.repository, _run(call)))


def annotations_of(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations"""
    run = _run(call)
    return call.page(run.annotations, lambda one: shapes.annotation(call.world, call.repository, run.head_sha, one))


def rerequest(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest: the suite is queued again, the run itself stays as it is."""
    run = _run(call)
    if run.status != "completed":
        raise Refusal(422, "This check run is not rerequestable")
    run.suite.requested = False
    tell(call.world, call.repository, run, "rerequested", call.user)
    return Answer(201, {})


def _chosen(call: Call, runs: list[CheckRun]) -> list[CheckRun]:
    query = call.query
    if "check_name" in query:
        runs = [run for run in runs if run.name == query["check_name"]]
    if "status" in query:
        runs = [run for run in runs if run.status == query["status"]]
    if "app_id" in query:
        runs = [run for run in runs if str(run.app.id) == query["app_id"]]
    if query.get("filter", "latest") == "latest":
        runs = list({(run.app.id, run.name): run for run in sorted(runs, key=lambda run: run.id)}.values())
    return sorted(runs, key=lambda run: -run.id)


def _commit(call: Call) -> str:
    sha = git.resolve(call.repository.path, call.params["ref"])
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {call.params['ref']}")
    return sha


def of_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/check-runs"""
    sha = _commit(call)
    runs = _chosen(call, [run for run in call.repository.check_runs.values() if run.head_sha == sha])
    return call.page(runs, lambda run: shapes.check_run(call.world, call.repository, run), "check_runs")


def of_suite(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs"""
    suite = _suite(call)
    runs = _chosen(call, [run for run in call.repository.check_runs.values() if run.suite is suite])
    return call.page(runs, lambda run: shapes.check_run(call.world, call.repository, run), "check_runs")


def suites(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/check-suites"""
    sha, query = _commit(call), call.query
    found = [suite for suite in call.repository.suites.values() if suite.head_sha == sha]
    if "app_id" in query:
        found = [suite for suite in found if str(suite.app.id) == query["app_id"]]
    if "check_name" in query:
        named = {run.suite.id for run in call.repository.check_runs.values() if run.name == query["check_name"]}
        found = [suite for suite in found if suite.id in named]
    return call.page(found, lambda suite: shapes.suite(call.world, call.repository, suite), "check_suites")


def _suite(call: Call) -> CheckSuite:
    suite = call.repository.suites.get(call.number("check_suite_id"))
    if suite is None:
        raise not_found()
    return suite


def suite(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/check-suites/{check_suite_id}"""
    return Answer(200, shapes.suite(call.world, call.repository, _suite(call)))


def rerequest_suite(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest"""
    one = _suite(call)
    one.requested = False
    tell_suite(call.world, call.repository, one, "rerequested", call.user)
    return Answer(201, {})


def set_status(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/statuses/{sha}: any name, by anyone who may push."""
    fields = call.fields
    if fields.get("state") not in ("error", "failure", "pending", "success"):
        raise wrong("properties/state", "it is not a known state")
    sha = commit_of(call.repository, call.params["sha"])
    one = Status(
        call.world.id(),
        sha,
        fields["state"],
        fields.get("context", "default"),
        fields.get("description"),
        fields.get("target_url"),
        call.user,
        call.world.now(),
    )
    call.repository.statuses.append(one)
    return Answer(201, shapes.status(call.world, call.repository, one))


def statuses(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/statuses: newest first"""
    sha = _commit(call)
    found = [one for one in reversed(call.repository.statuses) if one.sha == sha]
    return call.page(found, lambda one: shapes.status(call.world, call.repository, one))


def combined(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/status: the newest of each context, and what they come to"""
    sha, world, repository = _commit(call), call.world, call.repository
    newest = {one.context: one for one in repository.statuses if one.sha == sha}
    states = {one.state for one in newest.values()}
    state = "failure" if states & {"error", "failure"} else "pending" if "pending" in states or not states else "success"
    drawn = [{name: value for name, value in shapes.status(world, repository, one).items() if name != "creator"} for one in newest.values()]
    api = shapes.api_of(world, repository)
    body = {"state": state, "statuses": drawn, "sha": sha, "total_count": len(drawn), "repository": shapes.repository(world, repository)}
    return Answer(200, body | {"commit_url": f"{api}/commits/{sha}", "url": f"{api}/commits/{sha}/status"})


_HERE = "/repos/{owner}/{repo}"
ROUTES = (
    Route("POST", f"{_HERE}/check-runs", create, ("checks:write",)),
    Route("GET", f"{_HERE}/check-runs/{{check_run_id}}", show, ("checks:read",)),
    Route("PATCH", f"{_HERE}/check-runs/{{check_run_id}}", update, ("checks:write",)),
    Route("GET", f"{_HERE}/check-runs/{{check_run_id}}/annotations", annotations_of, ("checks:read",)),
    Route("POST", f"{_HERE}/check-runs/{{check_run_id}}/rerequest", rerequest, ("checks:write",)),
    Route("GET", f"{_HERE}/check-suites/{{check_suite_id}}", suite, ("checks:read",)),
    Route("GET", f"{_HERE}/check-suites/{{check_suite_id}}/check-runs", of_suite, ("checks:read",)),
    Route("POST", f"{_HERE}/check-suites/{{check_suite_id}}/rerequest", rerequest_suite, ("checks:write",)),
    Route("GET", f"{_HERE}/commits/{{ref+}}/check-runs", of_commit, ("checks:read",)),
    Route("GET", f"{_HERE}/commits/{{ref+}}/check-suites", suites, ("checks:read",)),
    Route("GET", f"{_HERE}/commits/{{ref+}}/statuses", statuses, ("statuses:read",)),
    Route("GET", f"{_HERE}/commits/{{ref+}}/status", combined, ("statuses:read",)),
    Route("POST", f"{_HERE}/statuses/{{sha}}", set_status, ("statuses:write",)),
)
