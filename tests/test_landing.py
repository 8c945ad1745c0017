"""What would land: the base branch moved on, and both sides together do what neither does alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.mirror import landing as room
from bot.mirror.change import opened
from bot.mirror.landing import near
from bot.sandbox import Sandbox
from checks.assess import assess
from checks.model import Assessment, Proof, Status
from checks.policy import Policy
from tests.house import DATABASE, TOPIC, House
from tests.repositories import Repository

ENFORCE = Policy(mode="enforce")
TOGETHER = "together with what the base branch gained"


def sides(
    folder: Path, start: dict[str, str | None], base: dict[str, str | None], head: dict[str, str | None]
) -> tuple[Repository, str, str]:
    """A repository whose base and head left the same start: (it, base, head)."""
    repository = Repository(folder)
    repository.commit({name: text for name, text in start.items() if text is not None})
    repository.branch("work")
    proposed = repository.commit(head)
    repository.git("checkout", "-q", "main")
    return repository, repository.commit(base), proposed


def judged(repository: Repository, base: str, head: str) -> Assessment:
    with opened(repository.folder / ".git", base, head, "shop") as change:
        return assess(change, ENFORCE)


RENAMED: tuple[dict[str, str | None], ...] = (
    {"infra/attic/main.txt": DATABASE + TOPIC},
    {"infra/attic/main.txt": None, "infra/live/main.tf": DATABASE + TOPIC},
    {"infra/attic/main.txt": TOPIC},
)


def test_an_edit_that_lands_in_a_renamed_file_is_judged_where_it_lands(tmp_path: Path) -> None:
    """Head edits a file that nothing reads; the base made it live meanwhile. Neither side destroys a database, the merge does."""
    repository, base, head = sides(tmp_path, *RENAMED)
    (effect,) = judged(repository, base, head).effects
    assert effect.rule == "terraform/resource-destroyed" and effect.path == "infra/live/main.tf" and TOGETHER in effect.message
    objects = repository.git("count-objects")
    assert judged(repository, base, head).demands and repository.git("count-objects") == objects, "nothing is written into the repository"


def test_an_effect_of_the_change_itself_is_told_once(tmp_path: Path) -> None:
    """The base moved on beside it, and that changes nothing: the same effect, in the same words."""
    repository, base, head = sides(
        tmp_path,
        {"infra/prod/main.tf": DATABASE + TOPIC},
        {"infra/prod/other.tf": TOPIC.replace("orders", "more")},
        {"infra/prod/main.tf": TOPIC},
    )
    (effect,) = judged(repository, base, head).effects
    assert TOGETHER not in effect.message


def test_a_reader_that_the_base_gained_counts(tmp_path: Path) -> None:
    """A column goes, and nothing at head reads it; on the base branch somebody began to, in another folder."""
    made = "CREATE TABLE users (id int, nick_name text);\n"
    repository, base, head = sides(
        tmp_path,
        {"db/migrations/1.sql": made, "app/user.py": "x = 1\n"},
        {"app/profile.py": "print(user.nick_name)\n"},
        {"db/migrations/2.sql": "ALTER TABLE users DROP COLUMN nick_name;\n"},
    )
    proofs: dict[str, Proof] = {name: proof for name, _, proof in judged(repository, base, head).proofs}
    assert proofs["expand-contract"].status is Status.MISSING
    alone = {name: proof for name, _, proof in judged(repository, repository.git("merge-base", base, head), head).proofs}
    assert alone["expand-contract"].status is Status.MET


def test_a_conflict_lands_nothing(tmp_path: Path) -> None:
    """What cannot be merged is judged by itself: whatever resolves it is a new head."""
    repository, base, head = sides(
        tmp_path, {"infra/prod/main.tf": DATABASE}, {"infra/prod/main.tf": TOPIC}, {"infra/prod/main.tf": DATABASE.replace("shop", "store")}
    )
    assert not any(TOGETHER in effect.message for effect in judged(repository, base, head).effects)


def test_a_merge_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old git, or a git that fails: low, in words, and the rest is judged."""
    repository, base, head = sides(tmp_path, *RENAMED)
    monkeypatch.setattr(room, "MERGES_SINCE", (99, 0))
    (effect,) = judged(repository, base, head).effects
    assert effect.hazard.value == "not.analysed" and "older than" in (effect.after or "")


def test_a_merge_is_made_only_where_it_can_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base moved on elsewhere: no merge is made."""
    repository, base, head = sides(
        tmp_path, {"infra/prod/main.tf": DATABASE}, {"docs/x.md": "x\n"}, {"infra/prod/main.tf": DATABASE + TOPIC}
    )
    monkeypatch.setattr(room, "Objects", None)
    with opened(repository.folder / ".git", base, head, "shop") as change:
        assert change.merged is None and change.unmerged is None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (["infra/prod/a.tf"], ["infra/prod/b.tf"], True),
        (["infra/prod/a/b/c.tf"], ["infra/prod/x.tf"], True),
        (["infra/a.tf"], ["infra/prod/x.tf"], True),
        (["infra/prod/a.tf"], ["infra/dev/x.tf"], False),
        (["a.md"], ["infra/x.tf"], False),
        (["a.md"], ["b.md"], True),
        (["db/migrations/1.sql"], ["app/x.py"], True),
        (["db/migrations/1.sql"], [], False),
    ],
)
def test_what_is_near(ours: list[str], theirs: list[str], expected: bool) -> None:
    """The same folder, or one inside the other, two folders deep; a migration is near to everything that could read its tables."""
    assert near(ours, theirs) is expected


def test_a_worker_sees_the_merged_tree_too(tmp_path: Path) -> None:
    """The analysis in a process of its own comes to the same."""
    repository, base, head = sides(tmp_path, *RENAMED)
    sandbox = Sandbox(1)
    try:
        with opened(repository.folder / ".git", base, head, "shop") as change:
            (effect,) = sandbox.assess(change, ENFORCE).effects
        assert TOGETHER in effect.message
    finally:
        sandbox.close()


@pytest.mark.bypass("BP-44")
@pytest.mark.bypass("BP-69")
def test_bp_44_what_lands_is_judged_by_the_app(house: House) -> None:
    """Through the whole App: the pull request is harmless, the base branch is harmless, the merge is not, and the gate is red."""
    start, base, head = RENAMED
    house.repo.commit("main", start, "Attic", author="robin")
    house.repo.commit("rename", head, "Tidy", author="robin", start="main")
    house.repo.commit("main", base, "Live", author="robin")
    house.repo.open_pull("rename", "main", "Tidy", "", "robin")
    house.settle()
    gate = house.gate(house.repo.sha("rename"))
    assert gate.conclusion == "failure" and TOGETHER in gate.summary
