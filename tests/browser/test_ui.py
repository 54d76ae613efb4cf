"""What a person sees in Dagster's UI: the lineage from left to right, the checks with what was expected and found, and a rerun that works."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import PICTURES, Ui

pytestmark = [pytest.mark.slow, pytest.mark.browser]
PATIENCE_S = 60


def text_of(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def wait_for(browser: Chrome, *words: str) -> str:
    """The page's text once it holds all the words."""
    WebDriverWait(browser, PATIENCE_S).until(lambda found: all(word in text_of(found) for word in words))
    return text_of(browser)


def kept(browser: Chrome, name: str) -> Path:
    """A picture of the page, for people."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    assert browser.save_screenshot(str(path))
    return path


def test_the_lineage_of_a_goal_shows_its_indicators_to_the_left_and_the_approval_to_the_right(ui: Ui, chromium: Chrome) -> None:
    chromium.get(f"{ui.url}/assets/goals/goal_fundraising?view=lineage&lineageScope=neighbors")
    wait_for(chromium, "goal_fundraising", "engagement", "audience", "conversation", "approval")
    time.sleep(2)
    picture = kept(chromium, "lineage")
    places = {
        name: element.location["x"]
        for name in ("engagement", "goal_fundraising", "approval")
        for element in chromium.find_elements(By.XPATH, f"//*[local-name()='foreignObject']//*[text()='{name}']")
    }
    assert places["engagement"] < places["goal_fundraising"] < places["approval"]
    assert picture.stat().st_size > 20_000


def test_the_checks_page_of_a_goal_says_what_was_promised_and_that_it_held(ui: Ui, chromium: Chrome) -> None:
    chromium.get(f"{ui.url}/assets/goals/goal_fundraising?view=checks&checkDetail=promises")
    said = wait_for(chromium, "promises", "A key names one row.")
    kept(chromium, "checks")
    assert "A value is there exactly when its status is ok." in said
    assert "Failed" not in said


def test_an_asset_is_described_by_its_rows_and_shows_its_columns_and_row_count(ui: Ui, chromium: Chrome) -> None:
    chromium.get(f"{ui.url}/assets/staging/post_days")
    said = wait_for(chromium, "One row per post and snapshot day", "delta_days")
    kept(chromium, "asset")
    assert "Row count" in said or "row count" in said.lower()


def test_no_token_and_no_person_stands_on_the_pages(ui: Ui, chromium: Chrome) -> None:
    chromium.get(f"{ui.url}/assets/raw/x__mentions")
    said = wait_for(chromium, "x__mentions")
    assert "sandbox-x-user-token" not in chromium.page_source
    assert "sandbox-has-no-real-persons" not in chromium.page_source
    assert "x__mentions" in said


LAUNCH = """
mutation ($selector: JobOrPipelineSelector!) {
  launchPipelineExecution(executionParams: {selector: $selector, mode: "default"}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status assetMaterializations { assetKey { path } } } } }"
REPOSITORY = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"


def test_one_platform_can_be_fetched_again_alone_over_graphql(ui: Ui) -> None:
    repository = ui.ask(REPOSITORY)["repositoriesOrError"]["nodes"][0]
    keys = [{"path": ["raw", f"mastodon__{stream}"]} for stream in ("accounts", "posts", "mentions")]
    selector = {
        "repositoryName": repository["name"],
        "repositoryLocationName": repository["location"]["name"],
        "jobName": "night",
        "assetSelection": keys,
        "assetCheckSelection": [],
    }
    launched = ui.ask(LAUNCH, selector=selector)["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    for _ in range(240):
        run = ui.ask(STATUS, id=run_id)["runOrError"]
        if run["status"] in {"SUCCESS", "FAILURE", "CANCELED"}:
            break
        time.sleep(0.5)
    assert run["status"] == "SUCCESS"
    assert {tuple(made["assetKey"]["path"]) for made in run["assetMaterializations"]} == {tuple(key["path"]) for key in keys}


def test_the_nightly_schedule_stands_at_two_in_the_institutions_zone(ui: Ui) -> None:
    repository = ui.ask(REPOSITORY)["repositoriesOrError"]["nodes"][0]
    query = """query ($selector: RepositorySelector!) { schedulesOrError(repositorySelector: $selector) {
        ... on Schedules { results { name cronSchedule executionTimezone } } } }"""
    selector = {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}
    found = {entry["name"]: entry for entry in ui.ask(query, selector=selector)["schedulesOrError"]["results"]}
    assert (found["night_asia_jakarta"]["cronSchedule"], found["night_asia_jakarta"]["executionTimezone"]) == ("0 2 * * *", "Asia/Jakarta")
    assert "hourly" in found
