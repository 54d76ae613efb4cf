"""Law 9: no person and no token in any byte under the home.

Not here: which fields are dropped (tests/connectors).
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import duckdb
import pytest

from pipelines.house import House
from sandbox.facts import PLATFORMS
from sandbox.world import World
from tests.support.nights import HMAC_KEY, TOKENS

pytestmark = pytest.mark.slow


def bytes_of(home: Path) -> dict[str, bytes]:
    """Every file under the home, unpacked, and every value of every table, for DuckDB packs its strings."""
    found = {
        str(path.relative_to(home)): gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in home.rglob("*")
        if path.is_file()
    }
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        tables = connection.sql("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        for (name,) in tables:
            values = connection.sql(f"SELECT string_agg(t::VARCHAR, chr(10)) FROM {name} AS t").fetchall()[0][0]
            found[f"table {name}"] = (values or "").encode()
    return found


Everything = dict[str, tuple[bytes, set[bytes]]]
WORD = re.compile(rb"\w+")
PERSONAL = ("name", "handle", "email", "phone", "avatar", "acct", *(f"{platform}_id" for platform in PLATFORMS))


@pytest.fixture(scope="module")
def everything(six: House) -> Everything:
    """Every file and table in lower case, and the words in it, which make the search a thousand times faster."""
    lowered = ((name, content.lower()) for name, content in bytes_of(six.home).items())
    return {name: (content, set(WORD.findall(content))) for name, content in lowered}


def places(everything: Everything, wanted: list[str], *, but: str = "institutions/") -> dict[str, list[str]]:
    """Where one of the texts stands, whatever its case."""
    texts = {text.lower().encode(): set(WORD.findall(text.lower().encode())) for text in wanted}
    found = {
        name: [text.decode() for text, parts in texts.items() if parts <= words and text in content]
        for name, (content, words) in everything.items()
        if not name.startswith(but)
    }
    return {name: hits for name, hits in found.items() if hits}


def test_the_walk_sees_what_it_looks_through(everything: Everything) -> None:
    """A search that finds nothing is worth nothing unless it would find something."""
    assert {name.partition("/")[0] for name in everything} >= {"landing", "warehouse.duckdb", "institutions"}
    assert places(everything, ["cahayapeduli"])
    assert places(everything, ["Penyaluran", "zakat"])
    assert len(everything["table raw.x__mentions"][0]) > 10_000
    assert any(name.endswith(".gz") and b'"flags"' in content for name, (content, _) in everything.items())


@pytest.mark.parametrize("attribute", PERSONAL)
def test_nothing_of_a_person_is_kept_anywhere(attribute: str, everything: Everything, the_world: World) -> None:
    """The opted-in employees' ids stand in the institution's own file, which its people wrote, and nowhere else."""
    assert places(everything, [getattr(person, attribute) for person in the_world.persons]) == {}


def test_other_peoples_words_are_not_kept(everything: Everything, the_world: World) -> None:
    theirs = [post.text for post in the_world.by_id.values() if not the_world.is_own(post.author_id) and len(post.text) > 30]
    assert len(theirs) > 300
    ours = b" ".join(post.text.lower().encode() for post in the_world.by_id.values() if the_world.is_own(post.author_id))
    words = [text for text in theirs if text.lower().encode() not in ours]
    assert places(everything, words) == {}


def test_no_token_and_no_key_is_kept_anywhere_but_in_the_folder_of_those_that_renew_themselves(everything: Everything) -> None:
    assert places(everything, [*TOKENS.values(), HMAC_KEY], but="tokens/") == {}
    assert {name for name in everything if name.startswith("tokens/")} == {
        f"tokens/tolok_cahaya_threads_token.json{ending}" for ending in ("", ".lock")
    }


def test_who_wrote_an_item_is_a_keyed_pseudonym(six: House) -> None:
    with six.warehouse.open(read_only=True) as connection:
        found = connection.sql("SELECT DISTINCT author_key FROM staging.comments WHERE NOT is_own").fetchall()
    assert found
    assert all(re.fullmatch(r"[0-9a-f]{6}:[0-9a-f]{32}", key) for (key,) in found)
