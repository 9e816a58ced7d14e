"""A shop's own database over ODBC: a real driver, a real MariaDB, a login that may only read."""

from __future__ import annotations

import datetime as dt
import logging
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from prodlytics.plant.model import Plant
from prodlytics.sources.adapters.sql.guard import NotASelectError, only_select
from prodlytics.sources.adapters.sql.mapping import load_mapping
from prodlytics.sources.adapters.sql.reading import with_login
from prodlytics.sources.adapters.sql.rights import writes
from prodlytics_tests.servers.mariadb import MariaDB
from prodlytics_tests.sources.adapters.vendor import NOW, ask, connected
from prodlytics_tests.sources.landing_place import DAY, landing_plant, rows

KEYS = {"PRODLYTICS_ERP_USER": "reader", "PRODLYTICS_ERP_PASSWORD": "read-only-password"}
ORDERS = (
    "SELECT work_order, operation, machine_id, status, order_qty, scrap_qty, due_date FROM work_orders ORDER BY 1, 2"
)
TABLES = """
CREATE TABLE Job (Job CHAR(10) PRIMARY KEY, Part VARCHAR(20), Status VARCHAR(10), Qty DECIMAL(12, 3), Due DATE,
                  Last_Updated DATETIME NOT NULL);
CREATE TABLE Op (Job CHAR(10), Seq INT, Center VARCHAR(10), Status CHAR(1), Scrap DECIMAL(12, 3), Cycle_S DECIMAL(9, 3),
                 PRIMARY KEY (Job, Seq));
CREATE TABLE Part (Part VARCHAR(20) PRIMARY KEY, Cost DECIMAL(38, 10));
CREATE TABLE Booking (Id INT PRIMARY KEY, Job CHAR(10), Center VARCHAR(10), Employee VARCHAR(10), Began DATETIME,
                      Ended DATETIME, Good INT, Bad INT);
"""
MAPPING = """
resources:
  - name: jobs
    dataset: work_orders
    query: SELECT Job, Part, Status, Qty, Due, Last_Updated FROM Job
    key: [Job]
    changed: Last_Updated
    columns: {work_order: Job, part_number: Part, status: Status, order_qty: Qty, due_date: Due}
    values: {status: {Active: open, Done: closed}}
  - name: operations
    dataset: work_orders
    query: SELECT Job, Seq, Center, Status, Scrap FROM Op
    key: [Job, Seq]
    only_our_machines: true
    columns: {work_order: Job, operation: Seq, machine_id: Center, status: Status, scrap_qty: Scrap}
    values: {status: {O: open, C: closed}}
  - name: cycles
    dataset: ideal_cycles
    query: SELECT o.Center, j.Part, MAX(o.Cycle_S * 1000) AS Ms FROM Op o JOIN Job j ON j.Job = o.Job GROUP BY 1, 2
    key: [Part, Center]
    columns: {part_number: Part, machine_id: Center, ideal_cycle_time_ms: Ms}
  - name: costs
    dataset: part_costs
    query: SELECT Part, Cost FROM Part WHERE Cost > 0
    key: [Part]
    columns: {part_number: Part, material_cost_per_unit: Cost}
  - name: bookings
    dataset: operator_entries
    query: SELECT Id, Job, Center, Employee, Began, Ended, Good, Bad FROM Booking WHERE Ended IS NOT NULL
    key: [Id]
    columns: {source_key: Id, machine_id: Center, work_order: Job, entered_by: Employee, starts_at: Began,
              ends_at: Ended, entered_at: Ended, quantity: Good, reject_quantity: Bad}
    constants: {kind: production}
"""


class Shop:
    """The ERP's database, by a login that may do everything."""

    def __init__(self, server: MariaDB) -> None:
        self.server = server
        root = with_login(sa.make_url(server.url("mysql")), "root", server.password)
        self.engine = sa.create_engine(root, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        self.run("DROP DATABASE IF EXISTS shop", "CREATE DATABASE shop")
        self.run("DROP USER IF EXISTS reader@localhost")
        self.run("CREATE USER reader@localhost IDENTIFIED BY 'read-only-password'")
        self.run("GRANT SELECT ON shop.* TO reader@localhost")
        self.do(*filter(str.strip, TABLES.split(";")))

    def run(self, *statements: str) -> None:
        with self.engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def do(self, *statements: str) -> None:
        self.run("USE shop", *statements)

    def add(self, table: str, *values: tuple[Any, ...]) -> None:
        with self.engine.connect() as connection:
            connection.exec_driver_sql("USE shop")
            for row in values:
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


@pytest.fixture
def shop(mariadb_server: MariaDB) -> Shop:
    shop = Shop(mariadb_server)
    shop.add(
        "Job", ("J1", "P-100", "Active", Decimal("500.5"), dt.date(2026, 12, 1), LOCAL),
        ("J2", "P-200", "Done", None, None, LOCAL), ("J3", "P-100", "Odd", 1, None, LOCAL),
    )  # fmt: skip
    shop.add("Op", ("J1", 10, "PR-1 ", "O", 3, Decimal("12.5")), ("J1", 20, "BENCH", "O", 0, 9),
             ("J2", 10, "PR-1", "C", 0, None))  # fmt: skip
    shop.add("Part", ("P-100", Decimal("1234567890123.1234567891")), ("P-200", 0))
    shop.add(
        "Booking", (1, "J1", "PR-1", "E7", LOCAL, LOCAL + dt.timedelta(hours=2), 40, 2),
        (2, "J1", "BENCH", "E7", LOCAL, LOCAL + dt.timedelta(hours=2), 9, 0),
        (3, "J1", "PR-1", "E7", LOCAL, None, 1, 0),
    )  # fmt: skip
    return shop


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(MAPPING, encoding="utf-8")
    return file


#: The server's clock shows the plant's time.
ZONE = landing_plant().zone
LOCAL = (DAY + dt.timedelta(hours=1)).astimezone(ZONE).replace(tzinfo=None)


def erp(shop: Shop, mapping: object, **said: Any) -> Plant:
    options = {"mapping": str(mapping), **said.pop("options", {})}
    said = {"url": shop.server.url("shop"), "machines": {"PR-1": "Press01"}, **said}
    return connected(name="erp", kind="sql", options=options, **said)


def test_what_the_tables_say_comes_in_exactly(plain_database: str, shop: Shop, mapping: Path) -> None:
    assert ask(plain_database, erp(shop, mapping), KEYS).problems == []
    assert rows(plain_database, ORDERS) == [
        ("J1", "", None, "open", Decimal("500.5"), None, dt.date(2026, 12, 1)),
        ("J1", "10", "Press01", "open", None, 3, None), ("J2", "", None, "closed", None, None, None),
        ("J2", "10", "Press01", "closed", None, 0, None),
    ]  # fmt: skip
    first_day = landing_plant().first_day
    assert rows(plain_database, "SELECT part_number, since, material_cost_per_unit FROM part_costs") == [
        ("P-100", first_day, Decimal("1234567890123.1234567891"))
    ]
    assert rows(plain_database, "SELECT part_number, machine_id, ideal_cycle_time_ms FROM ideal_cycles") == [
        ("P-100", "Press01", 12_500.0)
    ]
    began = LOCAL.replace(tzinfo=ZONE)
    assert rows(
        plain_database, "SELECT source_key, source, starts_at, ends_at, quantity, reject_quantity, entered_by"
        " FROM operator_entries",
    ) == [("erp/bookings/1", "erp", began, began + dt.timedelta(hours=2), 40, 2, "E7")]  # fmt: skip
    found = rows(plain_database, "SELECT origin, reason FROM quarantine ORDER BY 1")
    assert found == [("erp/cycles", "missing_field"), ("erp/jobs", "bad_status")]


def test_only_what_changed_is_read_and_what_is_deleted_is_noticed_within_a_day(
    plain_database: str, shop: Shop, mapping: Path
) -> None:
    plant = erp(shop, mapping)
    shop.do("UPDATE Job SET Status = 'Active'")
    shop.add("Booking", (4, "J1", "PR-1", "E7", LOCAL, LOCAL + dt.timedelta(hours=1), 5, 0))
    assert ask(plain_database, plant, KEYS).counts["erp/jobs", "work_orders"].rows_in == 3
    later = LOCAL + dt.timedelta(hours=5)
    shop.do(f"UPDATE Job SET Qty = 7, Last_Updated = '{later}' WHERE Job = 'J2'", "DELETE FROM Job WHERE Job = 'J3'",
            "DELETE FROM Booking WHERE Id = 1")  # fmt: skip
    told = ask(plain_database, plant, KEYS, NOW + dt.timedelta(hours=6))
    # The two others lie within the overlap of two hours: a wall time comes twice when clocks go back.
    assert told.counts["erp/jobs", "work_orders"].rows_in == 2
    told = ask(plain_database, plant, KEYS, NOW + dt.timedelta(hours=9))
    assert told.counts["erp/jobs", "work_orders"].rows_in == 1
    assert told.counts["erp/jobs", "work_orders"].stored == 0
    ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=2))
    found = [(row[0], row[3], row[4]) for row in rows(plain_database, ORDERS) if row[1] == ""]
    assert found == [("J1", "open", Decimal("500.5")), ("J2", "open", 7), ("J3", "cancelled", 1)]
    assert rows(plain_database, "SELECT undoes FROM operator_entries WHERE kind = 'undo'") == [("erp/bookings/1",)]


@pytest.mark.parametrize("seed", [1, 2])
def test_tables_that_change_at_random_end_as_a_model_says(
    plain_database: str, shop: Shop, mapping: Path, seed: int
) -> None:
    chance, model, seen = random.Random(seed), dict[str, tuple[str, int]](), set[str]()
    plant = erp(shop, mapping)
    shop.do("DELETE FROM Job")
    for step in range(6):
        now = LOCAL + dt.timedelta(days=2 * step)
        for number in chance.sample(range(30), 12):
            job, status, quantity = f"J{number}", chance.choice(["Active", "Done"]), chance.randrange(500)
            shop.do(f"REPLACE INTO Job VALUES ('{job}', 'P', '{status}', {quantity}, NULL, '{now}')")
            model[job] = ("open" if status == "Active" else "closed", quantity)
            seen.add(job)
        for job in chance.sample(sorted(seen), 3):
            shop.do(f"DELETE FROM Job WHERE Job = '{job}'")
            if job in model and model[job][0] == "open":
                # One that was never read here is nothing here.
                model[job] = ("cancelled", model[job][1])
            seen.discard(job)
        read = {row[0] for row in rows(plain_database, ORDERS)}
        model = {job: said for job, said in model.items() if job in seen or job in read}
        known = {row[0]: (row[3], int(row[4])) for row in rows(plain_database, ORDERS) if row[1] == ""}
        # What was changed and deleted between two passes is cancelled as it was known.
        model |= {job: ("cancelled" if known[job][0] == "open" else known[job][0], known[job][1])
                  for job in model if job not in seen and job in known}  # fmt: skip
        for _ in range(2):
            assert ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=2 * step)).problems == []
        found = {row[0]: (row[3], int(row[4])) for row in rows(plain_database, ORDERS) if row[1] == ""}
        assert found == model


@pytest.mark.parametrize(
    "right",
    ["INSERT ON shop.Job", "UPDATE (Qty) ON shop.Job", "ALL PRIVILEGES ON shop.*", "EXECUTE ON shop.*",
     "CREATE TEMPORARY TABLES ON shop.*", "FILE ON *.*"],
)  # fmt: skip
def test_a_login_that_may_write_is_refused_before_anything_is_read(
    plain_database: str, shop: Shop, mapping: Path, right: str
) -> None:
    shop.run(f"GRANT {right} TO reader@localhost")
    problems = ask(plain_database, erp(shop, mapping), KEYS).problems
    assert len(problems) == 5
    assert all("the login may do more than read" in problem for problem in problems)
    assert right.partition(" ")[0] in problems[0]
    assert rows(plain_database, ORDERS) == []


def test_a_login_with_a_role_or_the_right_to_give_rights_is_refused(
    plain_database: str, shop: Shop, mapping: Path
) -> None:
    shop.run("CREATE ROLE IF NOT EXISTS editors", "GRANT editors TO reader@localhost")
    assert "editors" in ask(plain_database, erp(shop, mapping), KEYS).problems[0]
    shop.run("DROP ROLE editors", "GRANT SELECT ON shop.* TO reader@localhost WITH GRANT OPTION")
    assert "GRANT OPTION" in ask(plain_database, erp(shop, mapping), KEYS).problems[0]


def test_wrong_credentials_and_nobody_there_are_one_sentence_without_them(
    plain_database: str, shop: Shop, mapping: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mapping.write_text(MAPPING.partition("  - name: operations")[0], encoding="utf-8")
    with caplog.at_level(logging.DEBUG):
        wrong = ask(plain_database, erp(shop, mapping), KEYS | {"PRODLYTICS_ERP_PASSWORD": "guessed-wrong"}).problems
        away = erp(shop, mapping, url=f"mariadb+pyodbc://127.0.0.1:1/shop?driver={shop.server.driver}")
        gone = ask(plain_database, away, KEYS).problems
        missing = erp(shop, mapping, url="mariadb+pyodbc://127.0.0.1:1/shop?driver=/nowhere/driver.so")
        undriven = ask(plain_database, missing, KEYS).problems
    assert "mariadb+pyodbc://127.0.0.1:" in wrong[0]
    assert "refuses our credentials" in wrong[0]
    assert "does not give its rows" in gone[0]
    assert "the ODBC driver of its url is not installed on this machine" in undriven[0]
    said = "\n".join([caplog.text, *wrong, *gone, *undriven])
    assert not any(secret in said for secret in ("guessed-wrong", "read-only-password"))


def test_a_table_that_is_not_there_stops_its_resource_alone(plain_database: str, shop: Shop, mapping: Path) -> None:
    shop.do("DROP TABLE Part")
    (problem,) = ask(plain_database, erp(shop, mapping), KEYS).problems
    assert problem.startswith("mariadb+pyodbc://127.0.0.1:")
    assert "shop.Part" in problem
    assert len(rows(plain_database, ORDERS)) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "mariadb+pymysql://h/d"}, "write its url as one of mssql+pyodbc,"),
        ({"url": "oracle+pyodbc://h/d"}, "write its url as one of mssql+pyodbc,"),
        ({"options": {"mapping": "sage"}}, "There is no mapping sage: write e2, jobboss, syteline, or the path"),
        ({"options": {"mapping": "{broken}"}}, "is wrong at resources.0: Value error, work_orders has no colour"),
        ({"options": {"mapping": "{writing}"}}, "the query of jobs is refused: it is DELETE, not SELECT."),
    ],
)  # fmt: skip
def test_what_is_set_up_wrongly_is_one_sentence(
    plain_database: str, mapping: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    broken, writing = tmp_path / "broken.yaml", tmp_path / "writing.yaml"
    broken.write_text(MAPPING.replace("part_number: Part, status", "colour: Part, status"), encoding="utf-8")
    writing.write_text(MAPPING.replace("SELECT Job, Part, Status", "DELETE FROM Job -- "), encoding="utf-8")
    options = {name: value.format(broken=broken, writing=writing) for name, value in change.get("options", {}).items()}
    said = {"url": "mariadb+pyodbc://h/d?driver=x", **change, "options": {"mapping": str(mapping), **options}}
    (problem,) = ask(plain_database, connected(name="erp", kind="sql", **said), KEYS).problems
    assert says in problem


ATTACKS = [
    "SELECT a FROM t; DROP TABLE t", "DELETE FROM t", "UPDATE t SET a = 1", "INSERT INTO t VALUES (1)", "DROP TABLE t",
    "TRUNCATE TABLE t", "CREATE TABLE x (a INT)", "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "SELECT * INTO x FROM t", "SELECT * FROM t FOR UPDATE",
    "SELECT a FROM t WITH (TABLOCKX)", "SELECT LOAD_FILE('/etc/passwd')", "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT SLEEP(5)", "SELECT pg_sleep(5)", "SELECT BENCHMARK(9, 9)", "SELECT GET_LOCK('a', 9)",
    "SELECT * FROM OPENROWSET('a', 'b', 'c')", "EXEC xp_cmdshell 'dir'", "CALL p()", "SET x = 1", "USE master",
    "SELECT nextval('s')", "SELECT pg_read_file('x')", "SELECT dblink('a', 'b')", "SELECT @x := 5", "SELECT ?",
    "GRANT ALL ON t TO u", "SHUTDOWN", "BEGIN TRANSACTION", "", "SELECT (", "-- nothing",
]  # fmt: skip


@pytest.mark.parametrize("query", ATTACKS)
@pytest.mark.parametrize("dialect", ["tsql", "mysql", "postgres"])
def test_only_a_select_passes(query: str, dialect: str) -> None:
    with pytest.raises(NotASelectError):
        only_select(query, dialect)


@pytest.mark.parametrize("dialect", ["tsql", "mysql", "postgres"])
def test_what_hides_in_a_comment_is_not_in_what_runs(dialect: str) -> None:
    tree = only_select("SELECT a /*!50000 INTO OUTFILE '/tmp/x' */ FROM t -- ; DROP TABLE t", dialect)
    assert tree.sql(dialect=dialect, comments=False) == "SELECT a FROM t"


@pytest.mark.parametrize("name", ["jobboss", "e2", "syteline"])
def test_shipped_mappings_are_selects_and_say_that_nobody_verified_them(name: str) -> None:
    mapping = load_mapping(name)
    assert not mapping.verified
    for resource in mapping.resources:
        columns = {one.output_name for one in only_select(resource.query, "tsql").selects}
        needed = {*resource.columns.values(), *resource.key, *filter(None, [resource.changed])}
        assert needed <= columns


def test_sql_servers_answers_about_a_reader_and_about_others() -> None:
    reader = [
        ("SERVER", "CONNECT SQL"),
        ("SERVER", "VIEW ANY DATABASE"),
        ("DATABASE", "CONNECT"),
        ("DATABASE", "SELECT"),
    ]
    assert writes("tsql", reader) == []
    assert writes("tsql", [*reader, ("DATABASE", "INSERT"), ("dbo.Job", "UPDATE"), ("SERVER", "CONTROL SERVER")]) == [
        "INSERT on DATABASE", "UPDATE on dbo.Job", "CONTROL SERVER on SERVER",
    ]  # fmt: skip
