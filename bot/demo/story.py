"""The story: an agent deletes and recreates production, a senior approves, and the gate stays red until machines have proven what it asks for."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.demo import files
from bot.demo.running import Running
from bot.demo.standin import Repo, StandIn
from bot.render import Paint
from bot.settings import Credentials, Settings

BRANCH = "claude/recreate-environment"
GATE = "interlock: main"


class NotAsTold(Exception):
    """The story went another way."""


@dataclass
class Stage:
    """Where the story plays."""

    github: StandIn
    server: Running
    repo: Repo
    say: Callable[[str], None]
    paint: Paint

    def settle(self) -> None:
        """Let everything that was set off come to rest."""
        for _ in range(3):
            self.github.settle()
            self.server.settle()

    def step(self, number: int, text: str) -> None:
        """Tell the next step."""
        self.say("")
        self.say(self.paint(f"{number}. {text}", 1))

    def gate(self, sha: str) -> Any:
        """The gate's newest check run on a commit."""
        runs = [run for run in self.repo.check_runs(sha) if run.name == GATE]
        if not runs:
            raise NotAsTold(f"there is no check run “{GATE}” on {sha[:12]}")
        return runs[-1]

    def show(self, sha: str, whole: bool = True) -> Any:
        """Print the gate as GitHub would show it."""
        run = self.gate(sha)
        green = run.conclusion == "success"
        mark = self.paint("✔", 32) if green else self.paint("✘", 31)
        self.say(f"   {mark} {self.paint(run.name, 1)} ({run.conclusion}): {_plain(run.title or '')}")
        for line in _plain(run.summary or "").splitlines() if whole else ():
            for row in textwrap.wrap(line, 116, drop_whitespace=False) or [""]:
                self.say(f"     │ {row}")
        return run

    def expect(self, holds: bool, otherwise: str) -> None:
        """Go on only if the story goes as told."""
        if not holds:
            raise NotAsTold(otherwise)


def _plain(markdown: str) -> str:
    """Markdown as a terminal shows it: entities resolved, marks kept."""
    import html

    return html.unescape(markdown).replace("**", "")


def tell(keep: bool = False, colour: bool = False, say: Callable[[str], None] | None = None) -> int:
    """Tell the story against the real server; 0 only if it went so."""
    speak = say or (lambda line: print(line, flush=True))
    paint = Paint(colour)
    logger = logging.getLogger("interlock")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="interlock-demo-") as folder, StandIn.start() as github:
        stage = _stage(github, Path(folder), speak, paint)
        try:
            _play(stage)
            speak("")
            speak(paint("The story went as told: an approval changed nothing, proof did.", 1, 32))
            if keep:
                _wait(stage)
            return 0
        except (NotAsTold, TimeoutError) as error:
            print(f"interlock demo: the story went another way: {error}", file=sys.stderr)
            return 1
        finally:
            stage.server.stop()
            logger.setLevel(level)


def _stage(github: StandIn, folder: Path, say: Callable[[str], None], paint: Paint) -> Stage:
    """The server, the App installed on an organisation, and a small repository with a policy and a required check."""
    app = github.app("interlock")
    settings = Settings(
        credentials=Credentials(app.id, app.private_key, (app.webhook_secret.encode(),)),
        missing=(),
        github_url=github.url,
        api_url=github.url,
        public_url="",
        data=folder,
        workers=2,
        mirror_quota=1 << 30,
        write_seconds=0.0,
    )
    server = Running(settings)
    app.webhook_url = f"{server.url}/webhook"
    say(f"Interlock listens on {server.url}, a stand-in for GitHub on {github.url}. Both are only on this machine.")
    repo = github.repository("acme", "shop", roles={"sam-senior": "maintain", "robin": "write"})
    github.install(app, "acme")
    repo.commit("main", files.BEFORE, "The shop, with a policy", author="robin")
    repo.require_check(GATE, app)
    return Stage(github, server, repo, say, paint)


def _play(stage: Stage) -> None:
    repo = stage.repo
    stage.step(1, "An agent opens a pull request: “Recreate the environment to remove drift”.")
    message = "Recreate the environment to remove drift\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"
    first = repo.commit(BRANCH, files.DELETED_AND_RECREATED, message, author="robin")
    pull = repo.open_pull(BRANCH, "main", "Recreate the environment to remove drift", "Tidies the production configuration.", "robin")
    stage.settle()
    run = stage.show(first)
    stage.expect(run.conclusion == "failure", "the gate is not red")
    for word in ("aws_db_instance.orders", "claude", "plan-verified", "state-kept", "contents: write"):
        stage.expect(word in _plain(run.summary), f"the red check does not speak of {word}")

    stage.step(2, "A senior engineer approves.")
    repo.approve(pull, "sam-senior", "LGTM")
    repo.comment(pull, "sam-senior", "/interlock recheck")
    stage.settle()
    run = stage.show(first, whole=False)
    stage.expect(run.conclusion == "failure", "an approval turned the gate green")
    refused = repo.refusals(pull)
    stage.expect(bool(refused), "GitHub would let it be merged")
    stage.say(f"   GitHub refuses the merge: {'; '.join(refused)}")
    stage.say("   An approval is a promise, and the gate asks for proof: nothing in the list above is answered by it.")

    stage.step(3, "The author does what the check asked for: the database is kept, the token narrowed, the cache keeps its name.")
    second = repo.commit(BRANCH, files.ANSWER, "Keep the database, narrow the token", author="robin")
    stage.settle()
    run = stage.show(second)
    stage.expect(run.conclusion == "failure", "the gate is green before the plan was seen")
    stage.expect("aws_db_instance" not in _plain(run.summary), "the database still counts as lost")

    stage.step(4, "Trusted CI makes the plan for this head and publishes its digest.")
    from checks.plans import digest_file

    digest = digest_file(json.dumps(files.PLAN).encode())
    artifacts = {"interlock-plan": {"digest.json": digest}}
    repo.run_workflow(".github/workflows/plan.yml", "pull_request", second, jobs=["plan"], artifacts=artifacts, head_branch=BRANCH)
    stage.settle()
    run = stage.show(second)
    stage.expect(run.conclusion == "success", "the gate is not green although everything is proven")
    stage.expect(not repo.refusals(pull), "GitHub still refuses the merge")
    repo.merge(pull, "robin")
    stage.settle()
    stage.say("   GitHub lets it be merged.")

    stage.step(5, "The score of the first attempt, as a sum anyone can redo.")
    records = [json.loads(record.report) for record in reversed(stage.server.app.store.records("acme/shop", pull=pull.number))]
    for term in records[0]["risk"]["terms"]:
        stage.say(f"   {term['points']:>4}  {term['name']:<12} {term['because']}")
    stage.say(f"   {records[0]['risk']['score']:>4}  of 100: {records[0]['risk']['band']}")


def _wait(stage: Stage) -> None:
    """Keep the server and the stand-in running until the keyboard says stop."""
    stage.say(f"Still running: {stage.server.url} and {stage.github.url}. Ctrl-C ends both.")
    import threading

    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        stage.say("")
