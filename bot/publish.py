"""A report as people see it on GitHub: two check runs, one comment that is updated in place, a label.

A completed check run is never reopened; its notes can only be added to. So what was published is remembered by head and name: the same report
again changes nothing, another one with the same notes updates the run, other notes make a new run, of which the newest counts.
docs.github.com/rest/checks/runs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot import codec, render
from bot.github.client import ApiError, Repository
from bot.render import Annotation
from bot.store import Store
from checks.model import Band, Report, State

BATCH = 50
"""Annotations of one request."""
MARKER = "<!-- interlock -->"
LABELS = {
    Band.LOW: "interlock: low",
    Band.MODERATE: "interlock: moderate",
    Band.HIGH: "interlock: high",
    Band.CRITICAL: "interlock: critical",
}


def gate_name(base_ref: str) -> str:
    """The gate's name: the base branch is part of it, so that a pass on one branch is none on another."""
    return f"interlock: {base_ref}"


def risk_name(base_ref: str) -> str:
    """The name of the check that only tells the score."""
    return f"interlock risk: {base_ref}"


class Publisher:
    """Publishes to one repository."""

    def __init__(self, repository: Repository, store: Store, details: str = "") -> None:
        self._repository, self._store, self._details = repository, store, details

    async def begin(self, head: str, base_ref: str) -> None:
        """Show that a head is being looked at, unless something is shown for it already."""
        name = gate_name(base_ref)
        if self._store.fact(self._key(head, name)) is None:
            answer = await self._repository.ask("check-create", body={"name": name, "head_sha": head, "status": "in_progress"})
            self._store.remember(self._key(head, name), {"id": answer["id"], "notes": None, "text": None})

    async def gate(self, report: Report, head: str, base_ref: str, review: str, forced_red: str | None = None) -> None:
        """The gate's check run. `forced_red` says why it is red although this report is not."""
        passed = report.verdict.state in (State.PASS, State.OBSERVED, State.OVERRIDDEN) and forced_red is None
        output = {"title": forced_red or render.title(report), "summary": render.summary(report)}
        actions = [] if report.verdict.state is State.PASS else _ACTIONS
        await self._check(gate_name(base_ref), head, "success" if passed else "failure", output, render.notes(report), review, actions)

    async def risk(self, report: Report, head: str, base_ref: str, review: str) -> None:
        """The check run that tells the score and never blocks."""
        output = {"title": render.risk_title(report), "summary": render.risk_summary(report)}
        await self._check(risk_name(base_ref), head, "success", output, (), review, [])

    async def failed(self, head: str, base_ref: str, why: str) -> None:
        """The gate is red because the look itself failed: never silence, never green."""
        output = {"title": "Interlock could not judge this change", "summary": render.cut(why)}
        await self._check(gate_name(base_ref), head, "failure", output, (), "", [])

    def _key(self, head: str, name: str) -> str:
        return f"check/{self._repository.full_name}/{head}/{name}"

    async def _check(
        self,
        name: str,
        head: str,
        conclusion: str,
        output: dict[str, Any],
        notes: Sequence[Annotation],
        review: str,
        actions: list[dict[str, str]],
    ) -> None:
        key = self._key(head, name)
        known = self._store.fact(key)
        rows = [_row(note) for note in notes]
        noted, told = codec.digest(codec.canonical(rows)), codec.digest(codec.canonical([conclusion, output, actions]))
        if known and known["text"] == told and known["notes"] == noted:
            return
        body: dict[str, Any] = {
            "name": name,
            "status": "completed",
            "conclusion": conclusion,
            "external_id": review,
            "output": output,
            "actions": actions,
        }
        if self._details:
            body["details_url"] = f"{self._details}/{self._repository.full_name}/reviews/{review}" if review else self._details
        reuse = known is not None and known["notes"] in (None, noted)
        fresh = rows if known is None or known["notes"] != noted else []
        first, rest = fresh[:BATCH], fresh[BATCH:]
        body["output"] = {**output, "annotations": first}
        run = None
        if reuse and known is not None:
            try:
                run = (await self._repository.ask("check-update", check=known["id"], body=body))["id"]
            except ApiError as error:
                if error.status != 404:
                    raise
        if run is None:
            run = (await self._repository.ask("check-create", body={**body, "head_sha": head}))["id"]
        for at in range(0, len(rest), BATCH):
            await self._repository.ask("check-update", check=run, body={"output": {**output, "annotations": rest[at : at + BATCH]}})
        self._store.remember(key, {"id": run, "notes": noted, "text": told})

    async def comment(self, report: Report, number: int) -> None:
        """The one comment: made when there is something to do, updated in place ever after."""
        text = render.comment(report)
        key = f"comment/{self._repository.full_name}/{number}"
        known = self._store.fact(key)
        if text is None and known is None:
            return
        body = f"{text or 'Nothing stands in the way of this change any more.'}\n\n{MARKER}"
        told = codec.digest(body)
        if known is None:
            known = await self._found(number)
        if known is None:
            answer = await self._repository.ask("comment-create", number=number, body={"body": body})
            known = {"id": answer["id"], "text": told}
        elif known["text"] != told:
            try:
                await self._repository.ask("comment-update", comment=known["id"], body={"body": body})
            except ApiError as error:
                if error.status != 404:
                    raise
                answer = await self._repository.ask("comment-create", number=number, body={"body": body})
                known = {"id": answer["id"], "text": told}
        self._store.remember(key, {"id": known["id"], "text": told})

    async def _found(self, number: int) -> dict[str, Any] | None:
        """Our comment from before the database was new, if there is one."""
        comments = await self._repository.every("comments", number=number)
        ours = [one for one in comments if MARKER in (one.get("body") or "") and (one.get("user") or {}).get("type") == "Bot"]
        return {"id": ours[0]["id"], "text": None} if ours else None

    async def label(self, report: Report, number: int, present: Sequence[str]) -> None:
        """One label that tells the band."""
        wanted = LABELS[report.assessment.risk.band]
        for label in present:
            if label in LABELS.values() and label != wanted:
                try:
                    await self._repository.ask("label-remove", number=number, label=label)
                except ApiError as error:
                    if error.status != 404:
                        raise
        if wanted not in present:
            await self._repository.ask("label-add", number=number, body={"labels": [wanted]})


_ACTIONS = [
    {"label": "Look again", "description": "Read the evidence and decide anew", "identifier": "recheck"},
    {"label": "Explain", "description": "Answer with the score as a sum", "identifier": "explain"},
    {"label": "What if proven", "description": "Answer with what would turn it green", "identifier": "simulate"},
]


def _row(note: Annotation) -> dict[str, Any]:
    return {
        "path": note.path,
        "start_line": note.line,
        "end_line": note.line,
        "annotation_level": note.level,
        "title": note.title,
        "message": note.message,
    }
