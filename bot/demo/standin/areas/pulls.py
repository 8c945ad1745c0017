"""Pull requests: what they are, what they change, who reviewed them, and merging."""

from __future__ import annotations

from bot.demo.standin import deeds, git, hooks, shapes
from bot.demo.standin.state import Delivery, Pull, Review, User, World
from bot.demo.standin.wire import Answer, Call, Refusal, Route, invalid, not_found

MOST_FILES = 3000
MOST_COMMITS = 250
_REVIEW = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED", None: "PENDING"}


def pull_of(call: Call, name: str = "pull_number") -> Pull:
    """The pull request the path names."""
    pull = call.repository.pulls.get(call.number(name))
    if pull is None:
        raise not_found()
    return pull


def listing(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls: by state, head (`owner:branch`) and base; newest first unless asked otherwise"""
    query = call.query
    state = query.get("state", "open")
    if state not in ("open", "closed", "all"):
        raise invalid("PullRequest", "state")
    found = [pull for pull in call.repository.pulls.values() if state in ("all", pull.state)]
    if "base" in query:
        found = [pull for pull in found if pull.base_ref == query["base"]]
    if ":" in query.get("head", ""):
        found = [pull for pull in found if query["head"] == f"{(pull.head_repository or pull.repository).owner.login}:{pull.head_ref}"]
    if query.get("sort") == "updated":
        found.sort(key=lambda pull: pull.updated_at)
    if query.get("direction", "desc") == "desc":
        found.reverse()
    return call.page(found, lambda pull: shapes.pull_simple(call.world, pull))


def show(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}"""
    return Answer(200, shapes.pull_full(call.world, pull_of(call)))


def create(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/pulls"""
    fields = call.fields
    for name in ("head", "base"):
        if not isinstance(fields.get(name), str):
            raise Refusal(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    head = fields["head"].rpartition(":")[2]
    try:
        pull, _ = deeds.open_pull(
            call.world,
            call.repository,
            call.repository,
            head,
            fields["base"],
            fields.get("title", head),
            fields.get("body"),
            call.user,
            bool(fields.get("draft")),
        )
    except LookupError:
        raise invalid("PullRequest", "head") from None
    return Answer(201, shapes.pull_full(call.world, pull))


def update(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/pulls/{pull_number}"""
    pull, fields = pull_of(call), call.fields
    deeds.edit(call.world, pull, call.user, title=fields.get("title"), body=fields.get("body"), base=fields.get("base"))
    if fields.get("state") == "closed" and pull.state == "open":
        deeds.close(call.world, pull, call.user)
    if fields.get("state") == "open" and pull.state == "closed":
        deeds.reopen(call.world, pull, call.user)
    return Answer(200, shapes.pull_full(call.world, pull))


def files(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/files: at most 3000"""
    pull = pull_of(call)
    base = git.merge_base(pull.repository.path, pull.base_sha, pull.head_sha)
    found = git.changed_files(pull.repository.path, base, pull.head_sha)[:MOST_FILES] if base else []
    return call.page(found, lambda one: shapes.file(call.world, pull.repository, pull.head_sha, one))


def commits(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/commits: at most 250, oldest first"""
    pull = pull_of(call)
    found = git.commits(pull.repository.path, pull.head_sha, f"^{pull.base_sha}", limit=10000)[::-1][:MOST_COMMITS]
    return call.page(found, lambda one: shapes.commit(call.world, pull.repository, one))


def of_commit(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls: merged ones that brought it, open ones that hold it"""
    repository, sha = call.repository, git.resolve(call.repository.path, call.params["commit_sha"])
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {call.params['commit_sha']}")

    def holds(pull: Pull) -> bool:
        if pull.merge_commit == sha and pull.merged_at:
            return True
        return sha in {one.sha for one in git.commits(repository.path, pull.head_sha, f"^{pull.base_sha}", limit=MOST_COMMITS)}

    return call.page([pull for pull in repository.pulls.values() if holds(pull)], lambda pull: shapes.pull_simple(call.world, pull))


def reviews(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews"""
    pull = pull_of(call)
    return call.page(pull.reviews, lambda one: shapes.review(call.world, pull, one))


def add_review(world: World, pull: Pull, by: User, state: str, body: str = "", commit: str | None = None) -> tuple[Review, list[Delivery]]:
    """Write a review down and send the event."""
    one = Review(world.id(), by, state, body, commit or pull.head_sha, world.now())
    pull.reviews.append(one)
    drawn = shapes.review(world, pull, one) | {"state": state.lower()}
    payload = {"review": drawn, "pull_request": shapes.pull_simple(world, pull)}
    return one, hooks.emit(world, "pull_request_review", "submitted", payload, sender=by, repository=pull.repository)


def review(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews: nobody approves what is their own"""
    pull, fields = pull_of(call), call.fields
    event = fields.get("event")
    if event not in _REVIEW:
        raise Refusal(422, "Invalid request.\n\nFor 'properties/event', it is not a known event.")
    if event in ("APPROVE", "REQUEST_CHANGES") and call.user is pull.user:
        raise Refusal(422, "Unprocessable Entity", errors=["Can not approve your own pull request"])
    one, _ = add_review(call.world, pull, call.user, _REVIEW[event], fields.get("body", ""), fields.get("commit_id"))
    return Answer(200, shapes.review(call.world, pull, one))


def merge(call: Call) -> Answer:
    """PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge: refused with 405 while the base branch's rules are not met"""
    pull, fields = pull_of(call), call.fields
    if fields.get("sha", pull.head_sha) != pull.head_sha:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    reasons = deeds.unmet(call.world, pull)
    if pull.state != "open" or reasons:
        raise Refusal(405, " ".join(reasons) or "Pull Request is not mergeable")
    try:
        deeds.merge(call.world, pull, call.user, fields.get("merge_method", "merge"))
    except LookupError:
        raise Refusal(405, "Pull Request is not mergeable") from None
    return Answer(200, {"sha": pull.merge_commit, "merged": True, "message": "Pull Request successfully merged"})


_HERE = "/repos/{owner}/{repo}/pulls"
_READ, _WRITE = ("pull_requests:read",), ("pull_requests:write",)
ROUTES = (
    Route("GET", _HERE, listing, _READ),
    Route("POST", _HERE, create, _WRITE),
    Route("GET", f"{_HERE}/{{pull_number}}", show, _READ),
    Route("PATCH", f"{_HERE}/{{pull_number}}", update, _WRITE),
    Route("GET", f"{_HERE}/{{pull_number}}/files", files, _READ),
    Route("GET", f"{_HERE}/{{pull_number}}/commits", commits, _READ),
    Route("GET", f"{_HERE}/{{pull_number}}/reviews", reviews, _READ),
    Route("POST", f"{_HERE}/{{pull_number}}/reviews", review, _WRITE),
    Route("PUT", f"{_HERE}/{{pull_number}}/merge", merge, ("contents:write",)),
    Route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", of_commit, ("pull_requests:read", "contents:read")),
)
