"""What decides a workflow's result inside its repository: if any of it differs, the run proves nothing."""

from __future__ import annotations

import pytest

from checks.closure import FILES, closure, unchanged
from checks.trees import MemoryTree

FLOW = ".github/workflows/ci.yml"
STEPS = "on: push\njobs:\n  a:\n    steps:\n%s"
FILES_OF: dict[str, tuple[str, str]] = {
    "a script": ("      - run: ./scripts/test.sh --all\n", "scripts/test.sh"),
    "a script by its interpreter": ("      - run: python scripts/test.py\n", "scripts/test.py"),
    "a program without an ending": ("      - run: bin/test\n", "bin/test"),
    "a program at the top": ("      - run: ./test\n", "test"),
    "the second command": ("      - run: |\n          echo\n          bash b.sh\n", "b.sh"),
    "a Makefile": ("      - run: make test\n", "Makefile"),
    "a makefile": ("      - run: make test\n", "makefile"),
    "a GNU makefile": ("      - run: gmake test\n", "GNUmakefile"),
    "a Makefile in a folder": ("      - run: make -C sub test\n", "sub/Makefile"),
    "a script in a folder": ("      - run: cd sub && ./b.sh\n", "sub/b.sh"),
    "a folder for all steps": ("      - run: ./b.sh\n        working-directory: sub\n", "sub/b.sh"),
    "an action": ("      - uses: ./act\n", "act/action.yml"),
    "an action with another ending": ("      - uses: ./act\n", "act/action.yaml"),
    "a called workflow": ("  b:\n    uses: ./.github/workflows/b.yml\n", ".github/workflows/b.yml"),
    "a called workflow of the same repository": ("  b:\n    uses: $/.github/workflows/b.yml\n", ".github/workflows/b.yml"),
}


def tree(steps: str, **files: str) -> MemoryTree:
    return MemoryTree({FLOW: (STEPS % steps).encode(), **{path: content.encode() for path, content in files.items()}})


@pytest.mark.parametrize("what", FILES_OF)
def test_what_a_workflow_names_belongs_to_it(what: str) -> None:
    """The same file: same; another one, or none any more: not the same."""
    steps, path = FILES_OF[what]
    content = "on: push\n" if path.endswith((".yml", ".yaml")) else "true\n"
    base = tree(steps, **{path: content})
    assert closure(base, FLOW) is not None and path in (closure(base, FLOW) or ())
    assert unchanged(base, tree(steps, **{path: content, "README": "new"}), FLOW) is True
    assert unchanged(base, tree(steps, **{path: content + "# other\n"}), FLOW) is False
    assert unchanged(base, tree(steps), FLOW) is False


def test_what_an_action_names_belongs_to_the_workflow_too() -> None:
    """However deep: the script of an action of a called workflow."""
    files = {
        ".github/workflows/b.yml": STEPS % "      - uses: ./act\n",
        "act/action.yml": "runs:\n  steps:\n    - run: ./deep.sh\n",
        "deep.sh": "true",
    }
    call = "  b:\n    uses: ./.github/workflows/b.yml\n"
    base = tree(call, **files)
    assert set(closure(base, FLOW) or ()) == {FLOW, ".github/workflows/b.yml", "act", "act/action.yml", "deep.sh"}
    assert unchanged(base, tree(call, **{**files, "deep.sh": "false"}), FLOW) is False


def test_what_does_not_decide_does_not_belong() -> None:
    """An action elsewhere, a folder that a command works on, a name in words, what no command names."""
    steps = "      - uses: actions/checkout@v4\n      - name: runs other.sh\n      - run: pytest tests/unit\n"
    base = tree(steps, **{"other.sh": "a", "tests/unit/test_a.py": "a", "Makefile": "a", "actions/checkout@v4": "x"})
    assert closure(base, FLOW) == (FLOW,)
    steps = "      - name: tools\n        run: ./check.sh\n"
    base = tree(steps, **{"check.sh": "true", "tools/check.sh": "true"})
    assert unchanged(base, tree(steps, **{"check.sh": "true", "tools/check.sh": "false"}), FLOW) is True


def test_a_folder_for_all_steps_counts_wherever_it_is_named() -> None:
    """However much else a workflow says before."""
    steps = (
        "".join(f"      - uses: actions/a{number}@v4\n" for number in range(40)) + "      - run: ./b.sh\n        working-directory: sub\n"
    )
    assert unchanged(tree(steps, **{"sub/b.sh": "true"}), tree(steps, **{"sub/b.sh": "false"}), FLOW) is False


@pytest.mark.parametrize("steps", ["  run:\n    steps: []\n  uses:\n    steps: []\n", "      - run:\n      - uses:\n", "      - run: ''\n"])
def test_words_that_name_nothing_name_nothing(steps: str) -> None:
    """A job may be called `run` or `uses`, and a step may leave them empty."""
    assert closure(tree(steps), FLOW) == (FLOW,)


@pytest.mark.parametrize("content", [b"word\n", b"", b"- a\n"])
def test_a_file_that_is_no_workflow_hangs_on_itself_alone(content: bytes) -> None:
    """Whatever stands there: the same is the same."""
    here = MemoryTree({FLOW: content})
    assert unchanged(here, here, FLOW) is True and unchanged(here, MemoryTree({FLOW: content + b"x: y\n"}), FLOW) is False


def test_a_workflow_that_calls_itself_ends() -> None:
    """A circle is followed once."""
    assert closure(tree("  b:\n    uses: ./.github/workflows/ci.yml\n"), FLOW) == (FLOW,)


def test_what_cannot_be_read_or_is_too_much_is_not_known() -> None:
    """A broken or missing workflow, or one that names more than is compared: no answer, never "the same"."""
    broken = MemoryTree({FLOW: b"on: ["})
    assert closure(broken, FLOW) is None and unchanged(broken, broken, FLOW) is None
    empty = MemoryTree({})
    assert unchanged(empty, empty, FLOW) is False
    new = tree("      - run: 'true'\n")
    assert unchanged(empty, new, FLOW) is False and unchanged(new, empty, FLOW) is False
    for number, known in ((FILES - 1, True), (FILES, False)):
        many = tree(
            "".join(f"  b{one}:\n    uses: ./.github/workflows/b{one}.yml\n" for one in range(number)),
            **{f".github/workflows/b{one}.yml": "on: push\n" for one in range(number)},
        )
        assert (closure(many, FLOW) is not None) is known
    gone = tree("  b:\n    uses: ./.github/workflows/gone.yml\n")
    assert unchanged(gone, gone, FLOW) is not True
