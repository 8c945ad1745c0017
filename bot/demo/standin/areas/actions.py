"""GitHub Actions: runs, jobs, artifacts, environments, and the answer of a custom deployment protection rule."""

from __future__ import annotations

from bot.demo.standin import shapes
from bot.demo.standin.state import Artifact, Repository, WorkflowRun
from bot.demo.standin.wire import Answer, Call, Refusal, Route, not_found


def runs(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/runs: newest first"""
    return _runs(call, list(call.repository.runs.values()))


def runs_of_workflow(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs: the id, or the file's name"""
    wanted = call.params["workflow"]
    named = {path for path, number in call.repository.workflows.items() if wanted in (str(number), path.rpartition("/")[2])}
    if not named:
        raise not_found()
    return _runs(call, [run for run in call.repository.runs.values() if run.path in named])


def _runs(call: Call, found: list[WorkflowRun]) -> Answer:
    query = call.query
    if "head_sha" in query:
        found = [run for run in found if run.head_sha == query["head_sha"]]
    if "event" in query:
        found = [run for run in found if run.event == query["event"]]
    if "branch" in query:
        found = [run for run in found if run.head_branch == query["branch"]]
    if "status" in query:
        found = [run for run in found if query["status"] in (run.status, run.conclusion)]
    if "actor" in query:
        found = [run for run in found if run.actor.login == query["actor"]]
    if "check_suite_id" in query:
        found = [run for run in found if str(run.suite.id) == query["check_suite_id"]]
    found = sorted(found, key=lambda run: -run.id)
    return call.page(found, lambda run: shapes.run(call.world, call.repository, run), "workflow_runs")


def _run(call: Call) -> WorkflowRun:
    run = call.repository.runs.get(call.number("run_id"))
    if run is None:
        raise not_found()
    return run


def run(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/runs/{run_id}"""
    return Answer(200, shapes.run(call.world, call.repository, _run(call)))


def jobs(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs"""
    parent = _run(call)
    return call.page(parent.jobs, lambda one: shapes.job(call.world, call.repository, parent, one), "jobs")


def artifacts(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/runs/{run_id}/artifacts"""
    parent, name = _run(call), call.query.get("name")
    found = [one for one in parent.artifacts if name in (None, one.name)]
    return call.page(found, lambda one: shapes.artifact(call.world, call.repository, parent, one), "artifacts")


def artifact_of(repository: Repository, number: int) -> tuple[WorkflowRun, Artifact]:
    """An artifact and the run that left it."""
    for parent in repository.runs.values():
        for one in parent.artifacts:
            if one.id == number:
                return parent, one
    raise not_found()


def artifact(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/artifacts/{artifact_id}"""
    parent, one = artifact_of(call.repository, call.number("artifact_id"))
    return Answer(200, shapes.artifact(call.world, call.repository, parent, one))


def download(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/artifacts/{artifact_id}/zip: a redirect to where it lies, good without a login"""
    if call.actor.token is None:
        raise Refusal(401, "Requires authentication")
    _, one = artifact_of(call.repository, call.number("artifact_id"))
    if one.expired:
        raise Refusal(410, "Artifact has expired")
    # Another host name, as on GitHub: a client that sends its token along is refused there.
    elsewhere = call.world.url.replace("127.0.0.1", "localhost")
    return Answer(302, None, {"Location": f"{elsewhere}/_blobs/artifacts/{one.id}.zip"})


def blob(call: Call) -> Answer:
    """GET /_blobs/artifacts/{artifact_id}.zip: what the redirect leads to. Like blob storage, it refuses a login it did not ask for."""
    if "authorization" in call.headers:
        raise Refusal(400, "Authentication information is not given in the correct format")
    for repository in call.world.repositories.values():
        for parent in repository.runs.values():
            for one in parent.artifacts:
                if one.id == call.number("artifact_id"):
                    return Answer(200, one.archive, {"Content-Type": "application/zip"})
    raise not_found()


def workflows(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/workflows"""
    api, html = shapes.api_of(call.world, call.repository), shapes.html_of(call.world, call.repository)

    def draw(entry: tuple[str, int]) -> dict[str, object]:
        path, number = entry
        name = path.rpartition("/")[2]
        made = "2020-01-01T00:00:00Z"
        drawn: dict[str, object] = {
            "id": number,
            "node_id": shapes.node_id("Workflow", number),
            "name": name,
            "path": path,
            "state": "active",
        }
        urls = {
            "url": f"{api}/actions/workflows/{number}",
            "html_url": f"{html}/blob/{call.repository.default_branch}/{path}",
            "badge_url": f"{html}/workflows/{name}/badge.svg",
        }
        return drawn | urls | {"created_at": made, "updated_at": made}

    return call.page(list(call.repository.workflows.items()), draw, "workflows")


def answer_gate(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule"""
    parent, fields = _run(call), call.fields
    if not isinstance(fields.get("environment_name"), str) or fields.get("state", "approved") not in ("approved", "rejected"):
        raise Refusal(422, "Invalid request.\n\nFor 'links/0/schema', environment_name or state is wrong.")
    if "state" not in fields and not isinstance(fields.get("comment"), str):
        raise Refusal(422, 'Invalid request.\n\n"comment" wasn\'t supplied.')
    parent.gates.append(dict(fields))
    return Answer(204)


def environments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/environments"""
    found = list(call.repository.environments.values())
    return call.page(found, lambda one: shapes.environment(call.world, call.repository, one), "environments")


def environment(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/environments/{environment_name}"""
    one = call.repository.environments.get(call.params["environment_name"])
    if one is None:
        raise not_found()
    return Answer(200, shapes.environment(call.world, call.repository, one))


_HERE = "/repos/{owner}/{repo}/actions"
_READ = ("actions:read",)
ROUTES = (
    Route("GET", f"{_HERE}/runs", runs, _READ),
    Route("GET", f"{_HERE}/runs/{{run_id}}", run, _READ),
    Route("GET", f"{_HERE}/runs/{{run_id}}/jobs", jobs, _READ),
    Route("GET", f"{_HERE}/runs/{{run_id}}/artifacts", artifacts, _READ),
    Route("POST", f"{_HERE}/runs/{{run_id}}/deployment_protection_rule", answer_gate, ("deployments:write",)),
    Route("GET", f"{_HERE}/artifacts/{{artifact_id}}", artifact, _READ),
    Route("GET", f"{_HERE}/artifacts/{{artifact_id}}/zip", download, _READ),
    Route("GET", f"{_HERE}/workflows", workflows, _READ),
    Route("GET", f"{_HERE}/workflows/{{workflow}}/runs", runs_of_workflow, _READ),
    Route("GET", "/repos/{owner}/{repo}/environments", environments, _READ),
    Route("GET", "/repos/{owner}/{repo}/environments/{environment_name}", environment, _READ),
    Route("GET", "/_blobs/artifacts/{artifact_id}.zip", blob, by="nobody"),
)
