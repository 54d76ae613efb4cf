"""What Dagster sees: the same from every entrance, described, in rooms, on time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from connectors.registry import platforms
from pipelines.definitions import build_definitions
from pipelines.house import House
from pipelines.template import institution_template

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    home = tmp_path_factory.mktemp("home")
    (home / "institutions").mkdir()
    for name, zone in (("barat", "WIB"), ("timur", "WIT"), ("timur_dua", "WIT")):
        text = institution_template(name).replace('zone = "WIB"', f'zone = "{zone}"')
        (home / "institutions" / f"{name}.toml").write_text(text, encoding="utf-8")
    return build_definitions(House(home, environ={}))


def test_workspace_and_dg_name_the_same_module() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    assert workspace["load_from"][0]["python_module"]["module_name"] == project["code_location_target_module"] == "pipelines.definitions"


def test_every_asset_stands_in_a_room_and_is_described_by_a_sentence_about_its_rows(defs: dg.Definitions) -> None:
    specs = list(defs.resolve_all_asset_specs())
    assert {spec.group_name for spec in specs} == {"raw", "reference", "staging", "indicators", "goals", "checks", "publish", "privacy"}
    for spec in specs:
        assert spec.description, spec.key
        assert spec.description[0].isupper(), spec.key
        assert spec.description.endswith("."), spec.key


def test_every_table_shows_its_columns(defs: dg.Definitions) -> None:
    tables = [spec for spec in defs.resolve_all_asset_specs() if spec.group_name in {"raw", "staging", "indicators", "goals"}]
    assert len(tables) > 30
    for spec in tables:
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        assert all(column.description for column in schema.columns), spec.key


def test_there_is_a_night_at_two_in_each_zone_in_use_and_an_hourly_fetch(defs: dg.Definitions) -> None:
    schedules = (
        {schedule.name: schedule for schedule in defs.resolve_all_schedule_defs()}
        if hasattr(defs, "resolve_all_schedule_defs")
        else {schedule.name: schedule for schedule in defs.get_repository_def().schedule_defs}
    )
    assert set(schedules) == {"night_asia_jakarta", "night_asia_jayapura", "hourly", "retention"}
    for name, zone in (("night_asia_jakarta", "Asia/Jakarta"), ("night_asia_jayapura", "Asia/Jayapura")):
        assert (schedules[name].cron_schedule, schedules[name].execution_timezone) == ("0 2 * * *", zone)
    assert schedules["hourly"].cron_schedule == "15 * * * *"


def test_the_graph_reads_from_raw_to_publish(defs: dg.Definitions) -> None:
    graph = defs.get_repository_def().asset_graph
    published = dg.AssetKey(["publish", "tolok_duckdb"])
    above = {published}
    while (more := above | {parent for key in above for parent in graph.get(key).parent_keys}) != above:
        above = more
    rooms = {key.path[0] for key in above}
    assert rooms == {"raw", "ref", "staging", "meta", "indicators", "goals", "checks", "publish"}


def test_every_raw_asset_has_its_check_of_arrival_and_every_audited_table_its_promises(defs: dg.Definitions) -> None:
    keys = defs.get_repository_def().asset_graph.asset_check_keys
    streams = {f"{platform}__{stream.name}" for platform, connector in platforms().items() for stream in connector.streams}
    assert {key.asset_key.path[-1] for key in keys if key.name == "arrived"} == streams
    assert {"mastodon__posts", "instagram__stories", "youtube__insights_day"} <= streams
    assert dg.AssetKey(["goals", "goal_fundraising"]) in {key.asset_key for key in keys if key.name == "promises"}


def test_loading_the_definitions_imports_neither_great_expectations_nor_pandas_nor_the_sandbox() -> None:
    script = (
        "import sys, json, pipelines.definitions; "
        "print(json.dumps([name for name in ('great_expectations', 'pandas', 'sandbox', 'xlsxwriter') if name in sys.modules]))"
    )
    environ = {**os.environ, "TOLOK_HOME": "/nonexistent"}
    told = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == []


@pytest.mark.slow
def test_the_workspace_file_loads_the_same_assets_as_dg(tmp_path: Path, defs: dg.Definitions) -> None:
    command = Path(sys.executable).with_name("dagster-graphql")
    environ = {**os.environ, "TOLOK_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    query = "{ assetNodes { assetKey { path } } }"
    told = subprocess.run(
        [str(command), "-w", "workspace.yaml", "-t", query], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    found, _ = json.JSONDecoder().raw_decode(told.stdout[told.stdout.index("{") :])
    keys = {tuple(node["assetKey"]["path"]) for node in found["data"]["assetNodes"]}
    assert keys == {tuple(spec.key.path) for spec in defs.resolve_all_asset_specs()}


@pytest.mark.slow
def test_dg_accepts_the_definitions(tmp_path: Path) -> None:
    dg_command = Path(sys.executable).with_name("dg")
    environ = {**os.environ, "TOLOK_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "DG_CLI_CONFIG": str(tmp_path / "dg.toml")}
    told = subprocess.run([str(dg_command), "check", "defs"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "loaded successfully" in told.stdout + told.stderr
