"""What reads a table or column that a change takes away: found by how code names it, not by the bare word."""

from __future__ import annotations

import pytest

from checks import reach, spellings
from checks.assess import assess
from checks.model import Reach
from checks.policy import BUILT_IN
from tests.changes import change_of

CREATED = """CREATE TABLE orders (id bigint PRIMARY KEY, discount_code text, barcode text, status text, customer_id bigint);
CREATE TABLE gift_cards (id bigint PRIMARY KEY);
CREATE TABLE users (id bigint PRIMARY KEY);
"""
CODE, BARCODE, STATUS, OWNER = (
    f"ALTER TABLE orders DROP COLUMN {name};\n" for name in ("discount_code", "barcode", "status", "customer_id")
)
CARDS, USERS = "DROP TABLE gift_cards;\n", "DROP TABLE users;\n"
RENAMED = "ALTER TABLE orders RENAME COLUMN discount_code TO voucher;\n"
NARROWED = "ALTER TABLE orders ALTER COLUMN discount_code TYPE varchar(8);\n"


def reached(taken: str, **more: str) -> Reach:
    """The reach of a migration in a repository with these files."""
    before = {
        "db/migrations/V1__made.sql": CREATED,
        "services/report/Dockerfile": "FROM alpine\n",
        **{path.replace("__", "/"): content for path, content in more.items()},
    }
    return assess(change_of(before, {**before, "db/migrations/V2__taken.sql": taken}), BUILT_IN).reach


READERS = [
    (CODE, "sum.py", 'rows = db.all("""\n  SELECT id,\n    discount_code\n  FROM orders\n""")\n', 3),
    (CODE, "sum.py", "def total(order):\n    return order.discount_code\n", 2),
    (CODE, "sum.ts", "export function total(order: Order) {\n  return order.discountCode;\n}\n", 2),
    (CODE, "sum.rb", "Order.pluck(:discount_code)\n", 1),
    (CODE, "Order.java", 'class Order {\n  @Column(name = "discount_code")\n  String code;\n}\n', 2),
    (RENAMED, "sum.go", 'row := db.QueryRow("SELECT discount_code FROM orders")\n', 1),
    (NARROWED, "sum.py", "order.discount_code = words\n", 1),
    (BARCODE, "sum.py", "from shop import Order\n\n\ndef of(order):\n    return order.barcode\n", 5),
    (STATUS, "sum.py", "order = Order.objects.get(id=1)\nif order.status:\n    pass\n", 2),
    (OWNER, "sum.py", "orders = db.all('SELECT customer_id FROM orders')\n", 1),
    (CARDS, "card.py", "class GiftCard(Base):\n    pass\n", 1),
    (CARDS, "card.ts", "const cards = await prisma.giftCard.findMany();\n", 1),
    (USERS, "who.py", 'cursor.execute("SELECT id FROM users WHERE id = %s", [1])\n', 1),
    (USERS, "who.py", "\nclass User(Base):\n    __tablename__ = 'users'\n", 2),
    (USERS, "who.ts", 'await knex("users").where({ id: 1 });\n', 1),
    (USERS, "who.rb", "User.where(id: 1)\n", 1),
]
OTHERS = [
    (CODE, "sum.py", "# the discount_code of an order is gone\n"),
    (CODE, "sum.py", "def apply(discount_code_percent):\n    return discount_code_percent\n"),
    (BARCODE, "scan.py", "def of(camera):\n    return camera.barcode\n"),
    (STATUS, "sum.py", "def of(response):\n    return response.status\n"),
    (STATUS, "sum.py", "order = 1\n\n\n\n\n\ndef of(response):\n    return response.status\n"),
    (CODE, "sum.test.ts", "expect(order.discountCode).toBe(1);\n"),
    (OWNER, "sum.py", "def of(invoice):\n    return invoice.customer_id\n"),
    (CARDS, "card.py", "gift = card(1)\n"),
    (USERS, "who.py", "from users import names\n\nprint('no user was found in users')\n"),
    (USERS, "who.ts", 'import { user } from "users";\nconst users = [user];\n'),
    (CODE, "tests/test_sum.py", "def test_sum(order):\n    assert order.discount_code\n"),
    (CODE, "README.md", "`order.discount_code` is the code.\n"),
    ("CREATE INDEX CONCURRENTLY codes ON orders (discount_code);\n", "sum.py", "order.discount_code\n"),
    ("ALTER TABLE orders ADD COLUMN voucher_code text;\n", "sum.py", "order.voucher_code\n"),
]


@pytest.mark.parametrize(("taken", "name", "content", "line"), READERS)
def test_a_reader_of_what_goes_is_reached_with_its_line(taken: str, name: str, content: str, line: int) -> None:
    """Its unit counts, and the path says from which file which table or column is named where."""
    found = reached(taken, **{f"services__report__{name}": content})
    subject = {
        CARDS: "table gift_cards",
        USERS: "table users",
        BARCODE: "column orders.barcode",
        STATUS: "column orders.status",
        OWNER: "column orders.customer_id",
    }
    steps = ("db/migrations/V2__taken.sql", subject.get(taken, "column orders.discount_code"), f"services/report/{name}:{line}")
    assert found.units == ("services/report",) and found.files == 2
    assert (steps, ("is changed in", "names it")) in zip(found.paths, found.reasons, strict=True)


@pytest.mark.parametrize(("taken", "name", "content"), OTHERS)
def test_what_only_shares_a_word_is_not_reached(taken: str, name: str, content: str) -> None:
    """Comments, longer names, common words away from their table, imports, tests and words; and what takes nothing away."""
    found = reached(taken, **{f"services__report__{name}": content})
    assert found.units == () and found.paths == ()


def test_two_services_that_read_it_are_two_units() -> None:
    """The blast radius of a column is every service that names it."""
    found = reached(
        CODE,
        **{
            "services/report/sum.py": "order.discount_code\n",
            "services/mail/Dockerfile": "FROM alpine\n",
            "services/mail/send.py": "order.discount_code\n",
            "services/web/Dockerfile": "FROM alpine\n",
            "services/web/page.py": "order.number\n",
        },
    )
    assert found.units == ("services/mail", "services/report")


def test_the_search_is_bounded_and_the_bound_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """More source than the bound: what was found stands, and the reach says that it is cut."""
    monkeypatch.setattr(spellings, "FILES", 2)
    files = {f"services/report/{at}.py": "order.discount_code\n" for at in range(4)}
    found = reached(CODE, **files)
    assert found.truncated and len(found.paths) == 2


def test_a_change_that_takes_nothing_away_searches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of all files is asked for only where an effect takes from a table or column."""
    change = change_of({"a.py": "1\n"}, {"a.py": "2\n"})
    monkeypatch.setattr(type(change.after), "paths", lambda tree: pytest.fail("every path was listed"))
    assert reach.reach_of(change, (), BUILT_IN).files == 1


def test_an_effect_that_names_no_table_is_read_by_nobody() -> None:
    """A merged migration that is edited takes from no table in particular: the reach stands, and nothing counts as not analysed."""
    path = "db/migrations/V1__made.sql"
    merged = {path: CREATED, "db/migrations/V2__more.sql": "ALTER TABLE orders ADD COLUMN voucher text;\n"}
    assessment = assess(change_of(merged, {**merged, path: CREATED.replace("barcode text", "barcode text, weight int")}), BUILT_IN)
    assert [effect.rule for effect in assessment.effects] == ["migrations/merged-migration-changed"]
    assert not assessment.reach.truncated
