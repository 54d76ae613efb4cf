"""Law 12, with a neighbour whose data are broken in every way: an institution's numbers, stamps and file stay what they are.

Not here: a neighbour that is well (tests/laws/test_law_parts.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assets.publish import audited, publish
from checks import gate
from pipelines import night
from pipelines.house import House
from pipelines.wiring import companions
from tests.faults.conftest import Copy
from tests.support.content import differences, every_table, raw_tables
from tests.support.nights import INSTITUTION, copy_home, institutions_of
from tests.support.whole import holdings, published_content, published_file

if TYPE_CHECKING:
    import duckdb

pytestmark = pytest.mark.slow

NEIGHBOUR = "tetangga"
# Each makes of the neighbour's rows of raw something that no platform should say.
BREAKS = {
    "negative counters": """UPDATE raw.x__posts SET payload = replace(payload::VARCHAR, '_count":', '_count":-')::JSON WHERE {who}""",
    "counters beyond 64 bits": """UPDATE raw.x__posts SET payload = replace(payload::VARCHAR, '_count":', '_count":99999999999999999999')::JSON WHERE {who}""",
    "counters as text": """UPDATE raw.mastodon__posts SET payload = replace(payload::VARCHAR, '_count":', '_count":"many","n":')::JSON WHERE {who}""",
    "no object at all": """UPDATE raw.x__posts SET payload = '[]'::JSON WHERE {who}""",
    "nothing but null": """UPDATE raw.mastodon__accounts SET payload = 'null'::JSON WHERE {who}""",
    "times that are none": """UPDATE raw.mastodon__posts SET payload = replace(payload::VARCHAR, '2026-', '99999-')::JSON WHERE {who}""",
    "days to come": """UPDATE raw.x__accounts SET day = day + 400 WHERE {who}""",
    "days long past": """UPDATE raw.x__mentions SET day = day - 20000 WHERE {who}""",
    "every row twice": """INSERT INTO raw.x__posts SELECT * FROM raw.x__posts WHERE {who}""",
    "no accounts": """DELETE FROM raw.mastodon__accounts WHERE {who}""",
    "no ledger": """DELETE FROM meta.fetch WHERE {who}""",
    "a ledger of gaps": """UPDATE meta.fetch SET is_complete = false, ledger_status = 'missing', reason = 'broken' WHERE {who}""",
    "another's ids": """UPDATE raw.mastodon__mentions SET account_id = '1' WHERE {who}""",
    "half of the rows": """DELETE FROM raw.x__mention_hours WHERE {who} AND hash(record_key) % 2 = 0""",
}


def move_in(house: House, breaks: Sequence[str]) -> None:
    """A second institution with the first one's accounts and history, spoilt."""
    own = house.institutions_path / f"{INSTITUTION}.toml"
    (house.institutions_path / f"{NEIGHBOUR}.toml").write_text(
        own.read_text(encoding="utf-8").replace("Asia/Jakarta", "Asia/Jayapura"), encoding="utf-8"
    )
    with house.warehouse.open() as connection:
        for name in [table.name for table in raw_tables()] + ["meta.fetch"]:
            connection.execute(
                f"INSERT INTO {name} BY NAME SELECT * REPLACE ('{NEIGHBOUR}' AS institution_id) FROM {name} WHERE institution_id = '{INSTITUTION}'"
            )
            connection.execute("INSERT INTO meta.change SELECT nextval('meta.change_ids'), ?, ?, '1970-01-01'", [name, NEIGHBOUR])
        for one in breaks:
            connection.execute(BREAKS[one].format(who=f"institution_id = '{NEIGHBOUR}'"))


def clear_out(house: House) -> None:
    """The neighbour has never been there."""
    (house.institutions_path / f"{NEIGHBOUR}.toml").unlink()
    with house.warehouse.open() as connection:
        names = [table.name for table in every_table() if "institution_id" in table.names]
        for name in [*names, "meta.change", "meta.consumed", "meta.stamp", "meta.check_result", "meta.first_published"]:
            connection.execute(f"DELETE FROM {name} WHERE institution_id = ?", [NEIGHBOUR])


def work(connection: duckdb.DuckDBPyConnection, house: House) -> dict[str, str]:
    """What follows a fetch; a table of the neighbour's that cannot be judged is refused."""
    institutions = institutions_of(house)
    night.derive(connection, institutions, "shared")
    try:
        gate.audit(connection, audited(), institutions, house.clock.now(), "shared")
    except gate.BrokenCheckError as broken:
        faults = broken.faults
    else:
        faults = []
    assert all(NEIGHBOUR in fault for fault in faults)
    return {one: publish(connection, house.published_path, one, house.clock.now(), companions()).outcome for one in institutions}


@pytest.fixture(scope="module")
def shared(undisturbed: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    return copy_home(undisturbed, tmp_path_factory.mktemp("shared") / "home")


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(breaks=st.lists(st.sampled_from(sorted(BREAKS)), min_size=1, max_size=5, unique=True))
def test_an_institutions_numbers_stay_whatever_is_wrong_with_its_neighbours(breaks: list[str], shared: House, undisturbed: House) -> None:
    published = published_file(shared, INSTITUTION).stat().st_ino
    move_in(shared, breaks)
    try:
        with shared.warehouse.open() as connection:
            outcomes = work(connection, shared)
        assert outcomes[INSTITUTION] == "unchanged", breaks
        assert differences(holdings(shared, INSTITUTION), holdings(undisturbed, INSTITUTION)) == {}, breaks
        assert published_content(shared, INSTITUTION) == published_content(undisturbed, INSTITUTION)
        assert published_file(shared, INSTITUTION).stat().st_ino == published
        assert holdings(shared, NEIGHBOUR)["ref.account"].height > 0
    finally:
        clear_out(shared)


def test_each_way_of_breaking_the_neighbour_breaks_something(undisturbed: House, copy: Copy) -> None:
    """Else the test above would show nothing."""
    house = copy(undisturbed)
    move_in(house, [])
    with house.warehouse.open() as connection:
        before = _told(connection)
        for name, statement in BREAKS.items():
            connection.begin()
            connection.execute(statement.format(who=f"institution_id = '{NEIGHBOUR}'"))
            assert _told(connection) != before, name
            connection.rollback()


def _told(connection: duckdb.DuckDBPyConnection) -> list[object]:
    """What stands in raw and its ledger of the neighbour, in one number each."""
    names = [table.name for table in raw_tables()] + ["meta.fetch"]
    return [
        connection.execute(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM {name} AS t WHERE institution_id = ?", [NEIGHBOUR]).fetchall()
        for name in names
    ]
