"""An institution's file: what is accepted, and in which words the rest is refused."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from assets.goals import goals
from connectors.secret import Secret
from connectors.tokens import SelfRenewing, Tokens
from pipelines.cli import app
from pipelines.house import House
from pipelines.settings import Institution, SettingsError, grant, json_schema, load_institution, secret, token_name
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


FAULTS: dict[str, tuple[str, str]] = {
    "an unknown zone": (GOOD.replace('"WITA"', '"Mars/Utopia"'), "zone (line 3): 'Mars/Utopia' is not a zone; write WIB, WITA, WIT or"),
    "an unknown platform": (
        GOOD.replace('platform = "x"', 'platform = "friendster"'),
        "accounts[1].platform (line 14): the platform 'friendster' is not known; there are: facebook, instagram, mastodon, threads, x, youtube",
    ),
    "settings of an unknown platform": (
        GOOD + '\n[platforms.friendster]\nbase_url = "https://a.example"\n',
        "platforms.friendster (line 30): the platform 'friendster' is not known",
    ),
    "staff on an unknown platform": (
        GOOD + '\n[[staff]]\nplatform = "friendster"\nid = "9"\nconsent = 2026-01-01\n',
        "staff[0].platform (line 31): the platform 'friendster' is not known",
    ),
    "an unknown goal": (
        GOOD.replace("[goals.fundraising]", "[goals.wealth]").replace("accounts = [", "# ["),
        "goals.wealth (line 19): there is no such goal; there are: ",
    ),
    "a goal of an account that is not there": (GOOD.replace('"x/2"', '"x/3"'), "goals.fundraising.accounts[0] (line 20): x/3 is not among"),
    "a weight of an unknown indicator": (
        GOOD.replace("posts.hashtags", "weights = { likes_of_cats = 2 }\nposts.hashtags"),
        "goals.fundraising.weights.likes_of_cats (line 21): the indicator 'likes_of_cats' is not known",
    ),
    "an unknown indicator that is switched off": (
        GOOD.replace("posts.hashtags", 'disabled = [\n  "mentions",\n  "likes_of_cats",\n]\nposts.hashtags'),
        "goals.fundraising.disabled[1] (line 23): the indicator 'likes_of_cats' is not known",
    ),
    "a target for what does not judge the goal": (
        GOOD.replace('"mentions"', '"likes"'),
        "targets[0].indicator (line 25): 'likes' does not judge the goal fundraising",
    ),
    "a target of a goal that is not pursued": (
        GOOD.replace('goal = "fundraising"', 'goal = "recruitment"'),
        "targets[0].goal (line 24): 'recruitment' is not among the goals of this file",
    ),
    "two targets from one day on": (
        GOOD + GOOD[GOOD.index("[[targets]]") :],
        "targets[1] (line 29): a second target for mentions (month) from 2026-01-01",
    ),
    "no address of the server": (
        GOOD.replace('base_url = "https://mastodon.example"', ""),
        "accounts[0] (line 8): mastodon/1 needs platforms.mastodon.base_url",
    ),
    "an account listed twice": (
        GOOD.replace('id = "2"', 'id = "1"').replace('platform = "x"', 'platform = "mastodon"'),
        "accounts[1] (line 13): mastodon/1 is listed twice",
    ),
    "a number as an id": (GOOD.replace('id = "2"', "id = 2"), "accounts[1].id (line 15): Input should be a valid string"),
    "a text as a number": (GOOD.replace("value = 10", 'value = "10"'), "targets[0].value (line 27): Input should be a valid number"),
    "a yes as a number": (GOOD.replace("value = 10", "value = true"), "targets[0].value (line 27): Input should be a valid number"),
    "a target that is no number": (
        GOOD.replace("value = 10", "value = nan"),
        "targets[0].value (line 27): Input should be a finite number",
    ),
    "a number as a yes": (
        GOOD.replace('id = "2"', 'id = "2"\nprivate_metrics = 1'),
        "accounts[1].private_metrics (line 16): Input should be",
    ),
    "a text as days": (
        GOOD.replace("\n[platforms", '\nhistory_days = "30"\n[platforms'),
        "history_days (line 5): Input should be a valid integer",
    ),
    "too many days": (
        GOOD.replace("\n[platforms", "\nhistory_days = 366\n[platforms"),
        "history_days (line 5): Input should be less than or",
    ),
    "an unknown key in the file": (
        GOOD.replace("\n[platforms", "\nfiscal_year = 1\n[platforms"),
        "fiscal_year (line 5): this key is not known",
    ),
    "an unknown key in a table": (GOOD + "\nvalid_until = 1\n", "targets[0].valid_until (line 30): this key is not known"),
    "an unknown key of a name that stands elsewhere": (
        GOOD.replace('id = "2"', 'id = "2"\nname = "Cabang"'),
        "accounts[1].name (line 16): this key is not known",
    ),
    "a day that not every year has": (
        GOOD.replace('"WITA"', '"WITA"\nfiscal_year_start = "02-29"'),
        "fiscal_year_start (line 4): '02-29' is not a day that every year has",
    ),
    "a missing name": (GOOD.replace('name = "Lembaga Uji"', ""), "name: this is missing"),
    "a missing handle": (GOOD.replace('id = "2"\nhandle = "uji"', 'id = "2"'), "accounts[1].handle (line 13): this is missing"),
    "no accounts": (GOOD.replace("[[accounts]]", "[[people]]"), "accounts: this is missing"),
    "the key inside the file": ('id = "uji"\n' + GOOD, "id (line 1): the file's name is the institution's key; remove this line"),
    "a token in place of its variable's name": (
        GOOD.replace('id = "2"', 'id = "2"\ntoken = "s3cr3t-value"'),
        "accounts[1].token (line 16): this is the name of an environment variable (capitals, digits, _), never the token itself",
    ),
    "a secret in an account": (
        GOOD.replace('id = "2"', 'id = "2"\nclient_secret = "s3cr3t-value"'),
        "accounts[1].client_secret (line 16): this key is not known; secrets never stand in this file",
    ),
}


@pytest.mark.parametrize(("spoilt", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_file_place_and_line(tmp_path: Path, spoilt: str, said: str) -> None:
    path = written(tmp_path, spoilt)
    with pytest.raises(SettingsError) as refused:
        load_institution(path)
    assert f"  {said}" in str(refused.value)
    assert str(refused.value).startswith(f"{path}: the institution 'uji' cannot be used:\n")
    assert "s3cr3t-value" not in str(refused.value)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    spoilt = GOOD.replace('platform = "x"', 'platform = "friendster"').replace('"mentions"', '"likes"')
    with pytest.raises(SettingsError) as refused:
        load_institution(written(tmp_path, spoilt))
    lines = str(refused.value).splitlines()[1:]
    assert [line.partition(":")[0].strip() for line in lines] == [
        "accounts[1].platform (line 14)",
        "goals.fundraising.accounts[0] (line 20)",
        "targets[0].indicator (line 25)",
    ]


def test_a_files_name_that_is_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the file's name is the institution's key: 2 to 40 lower case letters"):
        load_institution(written(tmp_path, GOOD, "Lembaga Uji"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name = "caf\xe9"', "the file is not UTF-8 (line 1); save it as UTF-8"),
        (b'a = 1\n\nb = "\xff"', "the file is not UTF-8 (line 3)"),
        (b"a = " + b"[" * 5000, "the file is not valid TOML: something is nested too deeply"),
        (b"a = " + b"9" * 5000, "the file is not valid TOML"),
        (b"a = 2026-13-01", "the file is not valid TOML"),
        (b"a = 1\na = 2", "the file is not valid TOML: Cannot overwrite a value (at end of document)"),
        (b"\x00", "the file is not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "uji.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_institution(path)
    assert f"{path}: {said}" in str(refused.value)


def test_a_missing_file_and_a_folder_in_its_place_say_so(tmp_path: Path) -> None:
    (tmp_path / "ordner.toml").mkdir()
    for name, said in (("fehlt", "FileNotFoundError"), ("ordner", "IsADirectoryError")):
        with pytest.raises(SettingsError, match=rf"the file cannot be read \({said}\)"):
            load_institution(tmp_path / f"{name}.toml")


@pytest.mark.parametrize(
    ("files", "environ", "said"),
    [
        ({}, {}, "There is no institution to work for under"),
        ({"uji": GOOD.replace("WITA", "Mars")}, {}, "zone (line 3): 'Mars' is not a zone"),
        ({"uji": "name = "}, {}, "the file is not valid TOML"),
        ({"uji": GOOD}, {}, "Nothing was fetched: there is no key to hide people's ids with"),
        ({"uji": GOOD}, {"TOLOK_HMAC_KEY": "short"}, "there is no key to hide people's ids with (or it is shorter than 16 bytes)"),
        ({"uji": GOOD}, {"TOLOK_HMAC_KEY_FILE": "/nowhere/key"}, "TOLOK_HMAC_KEY_FILE: the file it points to cannot be read"),
    ],
)
def test_the_command_line_says_it_and_ends_with_code_2_and_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], environ: dict[str, str], said: str
) -> None:
    (tmp_path / "institutions").mkdir()
    for name, text in files.items():
        written(tmp_path / "institutions", text, name)
    for name in [name for name in os.environ if name.startswith("TOLOK_")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["run", "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert said in result.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["institutions"]


def test_a_secret_in_the_file_is_refused_with_the_way_to_do_it(tmp_path: Path) -> None:
    path = written(tmp_path, 'access_token = "s3cr3t-value"\n' + GOOD)
    with pytest.raises(SettingsError) as refused:
        load_institution(path)
    assert "secrets never stand in this file" in str(refused.value)
    assert "(line 1)" in str(refused.value)
    assert "s3cr3t-value" not in str(refused.value)


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"not valid TOML: .*line 2"):
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


def test_what_renews_a_token_stands_beside_it_and_the_app_may_be_one_for_all(tmp_path: Path) -> None:
    institution = load_institution(written(tmp_path, GOOD.replace('id = "2"', 'id = "2"\ntoken = "TOLOK_UJI_X_BRANCH_TOKEN"')))
    account = institution.accounts[1]
    environ = {"TOLOK_UJI_X_BRANCH_REFRESH_TOKEN": "r", "TOLOK_UJI_X_CLIENT_ID": "shared", "TOLOK_UJI_X_CLIENT_SECRET": "s"}
    found = grant(institution, account, environ)
    assert found is not None
    assert (found.name, found.client_id.reveal()) == ("TOLOK_UJI_X_BRANCH_REFRESH_TOKEN", "shared")
    assert found.client_secret is not None
    own = grant(institution, account, environ | {"TOLOK_UJI_X_BRANCH_CLIENT_ID": "own"})
    assert own is not None
    assert own.client_id.reveal() == "own"
    assert grant(institution, account, {}) is None
    with pytest.raises(SettingsError, match="TOLOK_UJI_X_BRANCH_REFRESH_TOKEN is set and TOLOK_UJI_X_BRANCH_CLIENT_ID is not"):
        grant(institution, account, {"TOLOK_UJI_X_BRANCH_REFRESH_TOKEN": "r"})


def test_only_where_a_refresh_token_is_set_a_token_is_renewed(tmp_path: Path) -> None:
    (tmp_path / "institutions").mkdir()
    written(tmp_path / "institutions", GOOD)
    institution = load_institution(tmp_path / "institutions" / "uji.toml")
    plain = {"TOLOK_UJI_X_TOKEN": "a", "TOLOK_UJI_MASTODON_REFRESH_TOKEN": "never asked for"}
    assert [account.tokens for account in House(tmp_path, plain).accounts(institution)] == [None, None]
    renewing = plain | {"TOLOK_UJI_X_REFRESH_TOKEN": "r", "TOLOK_UJI_X_CLIENT_ID": "c"}
    mastodon, x = House(tmp_path, renewing).accounts(institution)
    assert mastodon.tokens is None
    assert isinstance(x.tokens, Tokens)
    broken = House(tmp_path, plain | {"TOLOK_UJI_X_REFRESH_TOKEN_FILE": str(tmp_path / "gone")}).accounts(institution)[1]
    assert "TOLOK_UJI_X_REFRESH_TOKEN_FILE: the file it points to cannot be read" in str(broken.fault)


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


INSTAGRAM = """
name = "Lembaga Uji"
zone = "WIB"
{settings}
[[accounts]]
platform = "instagram"
id = "17841400000000001"
handle = "uji"

[goals.community_engagement]
"""


@pytest.mark.parametrize(
    ("settings", "address", "renews"),
    [
        ("", "https://graph.facebook.com", False),
        ('[platforms.instagram]\nlogin = "instagram"\n', "https://graph.instagram.com", True),
        ('[platforms.instagram]\nlogin = "instagram"\nbase_url = "https://proxy.example"\n', "https://proxy.example", True),
    ],
)
def test_a_token_of_instagrams_own_login_is_asked_at_its_own_address_and_renewed(
    settings: str, address: str, renews: bool, tmp_path: Path
) -> None:
    house = House(tmp_path, environ={"TOLOK_UJI_INSTAGRAM_TOKEN": "a-token-of-the-tests"})
    (account,) = house.accounts(load_institution(written(tmp_path, INSTAGRAM.format(settings=settings))))
    assert account.base_url == address
    assert isinstance(account.tokens, SelfRenewing) == renews
    assert account.options["api_version"] == "v26.0"
