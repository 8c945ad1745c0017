"""The answer to the three questions about every agent that a repository configures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bot.mirror.change import RepositoryError, find
from bot.mirror.objects import GitTree, Objects

if TYPE_CHECKING:
    from bot.commands import Call
    from checks.authority.answers import Answer


def answer_text(directory: Path, revision: str | None) -> str:
    """The answers for a revision of a local repository, as text. Raises `RepositoryError`."""
    from checks.authority.answers import render_text

    return render_text(_answers(directory, revision))


def answer_json(directory: Path, revision: str | None) -> str:
    """The answers for a revision of a local repository, as JSON. Raises `RepositoryError`."""
    from checks.authority.answers import as_json

    return as_json(_answers(directory, revision))


def _answers(directory: Path, revision: str | None) -> tuple[Answer, ...]:
    from checks.authority.answers import answers

    with Objects(find(directory)) as objects:
        commit = objects.resolve(revision or "HEAD")
        if commit is None:
            raise RepositoryError(f"{revision or 'HEAD'!r} is not a commit of this repository")
        return answers(GitTree(objects, commit))


async def for_pull(call: Call) -> str:
    """The answers for the base of a pull request, from its newest record's commit."""
    import asyncio

    from bot import codec
    from bot.escape import fenced
    from bot.records import Inputs

    records = call.tools.store.records(call.repository.full_name, pull=call.number)
    if not records:
        return "Nothing has been recorded for this pull request yet."
    inputs = codec.load(Inputs, records[0].inputs)

    def read() -> str:
        from checks.authority.answers import answers, render_text

        with Objects(call.tools.mirrors.path(inputs.repository_id)) as objects:
            return render_text(answers(GitTree(objects, inputs.base)))

    return fenced(await asyncio.to_thread(read), limit=50_000)
