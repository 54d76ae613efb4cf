"""An institution's file: what is accepted, and in which words the rest is refused."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from assets.goals import goals
from connectors.secret import Secret
from pipelines.house import House
from pipelines.settings import Institution, SettingsError, json_schema, load_institution, secret, token_name
from pipelines.template import institution_template

GOOD = """
name = "Lembaga Uji"
zone = "WITA"

[platforms.mastodon]
base_url = "https://mastodon.example"

[[accounts]]
platform = "mastodon"
id = "1"
handle = "@uji"

[[accounts]]
platform = "x"
id = "2"
handle = "uji"

[goals.community_engagement]
[goals.fundraising]
accounts = ["x/2"]
posts.hashtags = ["zakat"]

[[targets]]
goal = "fundraising"
indicator = "mentions"
period = "month"
value = 10
valid_from = 2026-01-01
"""


def written(folder: Path, text: str, name: str = "uji") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read_and_its_zone_and_handles_are_made_plain(tmp_path: Path) -> None:
    institution = load_institution(written(tmp_path, GOOD))
    assert institution.zone == "Asia/Makassar"
    assert institution.accounts[0].handle == "uji"
    assert institution.population_of("community_engagement") == "all"
    assert institution.population_of("fundraising") == "fundraising"


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (GOOD.replace('zone = "WITA"', 'zone = "Mars/Utopia"'), "'Mars/Utopia' is not a zone"),
        (GOOD.replace('platform = "x"', 'platform = "friendster"'), "the platform 'friendster' is not known; there are: mastodon, x"),
        (GOOD.replace("[goals.fundraising]", "[goals.wealth]").replace("accounts = [", "# ["), "goals.wealth: there is no such goal"),
        (GOOD.replace('"x/2"', '"x/3"'), "goals.fundraising.accounts: x/3 is not among the accounts"),
        (GOOD.replace('"mentions"', '"likes"'), "targets[0].indicator: 'likes' does not judge the goal fundraising"),
        (
            GOOD.replace('goal = "fundraising"', 'goal = "recruitment"'),
            "targets[0].goal: 'recruitment' is not among the goals of this file",
        ),
        (GOOD + GOOD[GOOD.index("[[targets]]") :], "targets[1]: a second target for mentions (month) from 2026-01-01"),
        (GOOD.replace('base_url = "https://mastodon.example"', ""), "mastodon/1 needs platforms.mastodon.base_url"),
        (GOOD.replace('id = "2"', 'id = "1"').replace('platform = "x"', 'platform = "mastodon"'), "accounts: mastodon/1 is listed twice"),
        (GOOD.replace('id = "2"', "id = 2"), "accounts.1.id"),
        (GOOD + "\nfiscal_year = 1\n", "this key is not known"),
        (GOOD.replace('zone = "WITA"', 'zone = "WITA"\nfiscal_year_start = "02-29"'), "'02-29' is not a day that every year has"),
    ],
)
def test_a_fault_is_named_with_its_file_and_place(tmp_path: Path, spoilt: str, said: str) -> None:
    path = written(tmp_path, spoilt)
    with pytest.raises(SettingsError) as refused:
        load_institution(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_secret_in_the_file_is_refused_with_the_way_to_do_it(tmp_path: Path) -> None:
    path = written(tmp_path, 'access_token = "s3cr3t-value"\n' + GOOD)
    with pytest.raises(SettingsError) as refused:
        load_institution(path)
    assert "secrets never stand in this file" in str(refused.value)
    assert "(line 1)" in str(refused.value)
    assert "s3cr3t-value" not in str(refused.value)


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"not valid TOML.*line 2"):
        load_institution(written(tmp_path, 'name = "x"\nzone = \n'))


def test_one_institutions_fault_leaves_the_others_usable(tmp_path: Path) -> None:
    folder = tmp_path / "institutions"
    folder.mkdir()
    written(folder, GOOD, "baik")
    written(folder, "name = 1", "buruk")
    usable, faults = House(tmp_path, environ={}).institutions()
    assert list(usable) == ["baik"]
    assert len(faults) == 1
    assert "buruk.toml" in str(faults[0])


def test_many_institutions_may_live_in_one_home(tmp_path: Path) -> None:
    folder = tmp_path / "institutions"
    folder.mkdir()
    for name in ("satu", "dua"):
        written(folder, GOOD, name)
    assert list(House(tmp_path, environ={}).institutions()[0]) == ["dua", "satu"]


def test_a_token_comes_from_the_environment_or_from_a_file_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n", encoding="utf-8")
    direct = secret("TOLOK_A_X_TOKEN", {"TOLOK_A_X_TOKEN": "direct"})
    pointed = secret("TOLOK_A_X_TOKEN", {"TOLOK_A_X_TOKEN_FILE": str(file)})
    assert isinstance(direct, Secret)
    assert isinstance(pointed, Secret)
    assert (direct.reveal(), pointed.reveal()) == ("direct", "from-file")
    assert secret("TOLOK_A_X_TOKEN", {}) is None
    with pytest.raises(SettingsError, match="TOLOK_A_X_TOKEN_FILE: the file it points to cannot be read"):
        secret("TOLOK_A_X_TOKEN", {"TOLOK_A_X_TOKEN_FILE": str(tmp_path / "gone")})


def test_the_tokens_variable_is_named_after_institution_and_platform_unless_the_file_names_another(tmp_path: Path) -> None:
    institution = load_institution(written(tmp_path, GOOD.replace('id = "2"', 'id = "2"\ntoken = "X_MAIN"')))
    assert token_name(institution, institution.accounts[0]) == "TOLOK_UJI_MASTODON_TOKEN"
    assert token_name(institution, institution.accounts[1]) == "X_MAIN"


def validated(document: object, schema: dict[str, object]) -> None:
    """Holds the document against the schema.

    Raises:
        ValidationError: it does not fit.
    """
    jsonschema.Draft202012Validator(schema).validate(document)


def as_json(text: str) -> object:
    """TOML as JSON has it: without dates."""
    return json.loads(json.dumps(tomllib.loads(text), default=str))


def test_the_json_schema_accepts_the_template_and_a_good_file_and_refuses_an_unknown_key() -> None:
    schema = json.loads(json_schema())
    validated(as_json(GOOD), schema)
    validated(as_json(institution_template("contoh")), schema)
    with pytest.raises(jsonschema.ValidationError):
        validated(as_json(GOOD + "\nunknown = 1\n"), schema)


def test_the_template_loads_as_it_stands_and_names_all_eleven_goals(tmp_path: Path) -> None:
    text = institution_template("contoh")
    assert isinstance(load_institution(written(tmp_path, text, "contoh")), Institution)
    assert set(re.findall(r"^#   ([a-z_]+) ", text, flags=re.MULTILINE)) == set(goals())
