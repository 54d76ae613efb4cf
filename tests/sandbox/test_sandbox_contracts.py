"""What the sandbox answers, held against the vendors' own contracts. Skipped where these are absent."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator, OAS31Validator, oas30_format_checker, oas31_format_checker

CONTRACTS = Path(__file__).parents[2].parent / "shared/data/contracts"
pytestmark = pytest.mark.skipif(not CONTRACTS.is_dir(), reason=f"the vendors' contracts are not at {CONTRACTS}")
POST_FIELDS = "created_at,conversation_id,entities,public_metrics,non_public_metrics,lang,edit_controls,text,id"
EXPANSIONS = "author_id,in_reply_to_user_id,referenced_posts,edit_history_post_ids,entities.mentions.username"
X_QUERY = {"post.fields": POST_FIELDS, "expansions": EXPANSIONS, "user.fields": "public_metrics,description,created_at"}
MAIN = "/x/2/users/2200000000000000001"


@cache
def contract(name: str) -> Any:
    return json.loads((CONTRACTS / name).read_text())


def schema_of(name: str, path: str, status: str = "200", kind: str = "application/json") -> Any:
    return contract(name)["paths"][path]["get"]["responses"][status]["content"][kind]["schema"]


def faults_of(name: str, schema: Any, body: object) -> list[str]:
    """Validate against the contract; formats are checked too."""
    is_x = name.startswith("x")
    validator, formats = (OAS30Validator, oas30_format_checker) if is_x else (OAS31Validator, oas31_format_checker)
    whole = {"allOf": [schema], "components": contract(name)["components"]}
    return [
        f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator(whole, format_checker=formats).iter_errors(body)
    ]


@pytest.mark.parametrize(
    ("path", "query", "template"),
    [
        (MAIN, {"user.fields": "public_metrics,description,created_at,verified"}, "/2/users/{id}"),
        ("/x/2/users/999", {}, "/2/users/{id}"),
        (f"{MAIN}/tweets", {**X_QUERY, "max_results": "100"}, "/2/users/{id}/tweets"),
        (f"{MAIN}/tweets", {"start_time": "2026-04-30T18:59:00Z"}, "/2/users/{id}/tweets"),
        (f"{MAIN}/mentions", {**X_QUERY, "max_results": "100"}, "/2/users/{id}/mentions"),
        ("/x/2/tweets/counts/recent", {"query": "@lazcahaya", "granularity": "hour"}, "/2/tweets/counts/recent"),
        ("/x/2/tweets", {**X_QUERY, "ids": "1,2049708333069742884"}, "/2/tweets"),
    ],
)
def test_an_answer_of_x_keeps_the_contract(client: Any, path: str, query: dict[str, str], template: str) -> None:
    answer = client.get(path, params=query)
    assert answer.status_code == 200
    assert faults_of("x_openapi.json", schema_of("x_openapi.json", template), answer.json()) == []


def test_the_contract_refuses_what_is_wrong() -> None:
    """Otherwise the tests above would prove nothing."""
    wrong = {"data": [{"id": 5, "public_metrics": {"like_count": 1}}]}
    assert faults_of("x_openapi.json", schema_of("x_openapi.json", "/2/users/{id}/tweets"), wrong)
    wrong_notice = [{"id": "1", "type": "mention", "status": {"id": "1"}}]
    assert faults_of("mastodon_openapi.json", schema_of("mastodon_openapi.json", "/api/v1/notifications"), wrong_notice)


def test_x_answers_no_field_that_its_contract_does_not_name(client: Any) -> None:
    page = client.get(f"{MAIN}/tweets", params={**X_QUERY, "max_results": "100"}).json()
    named = contract("x_openapi.json")["components"]["schemas"]["Post"]["properties"].keys()
    assert all(post.keys() <= named for post in page["data"])


def test_a_refused_parameter_of_x_is_answered_with_a_problem_of_the_contract(client: Any) -> None:
    answer = client.get(f"{MAIN}/tweets", params={"max_results": "4"})
    assert answer.status_code == 400
    schema = schema_of("x_openapi.json", "/2/users/{id}/tweets", "default", "application/problem+json")
    assert faults_of("x_openapi.json", schema, answer.json()) == []


@pytest.mark.parametrize(
    ("path", "query", "template"),
    [
        ("/api/v1/accounts/109400000000000001", {}, "/api/v1/accounts/{id}"),
        ("/api/v1/accounts/lookup", {"acct": "cahaya"}, "/api/v1/accounts/lookup"),
        ("/api/v1/accounts/109400000000000001/statuses", {"limit": "40"}, "/api/v1/accounts/{id}/statuses"),
        ("/api/v1/notifications", {"limit": "40", "types[]": "mention"}, "/api/v1/notifications"),
        ("/api/v1/instance", {}, "/api/v1/instance"),
    ],
)
def test_an_answer_of_mastodon_keeps_the_contract(client: Any, path: str, query: dict[str, str], template: str) -> None:
    answer = client.get(f"/mastodon{path}", params=query)
    assert answer.status_code == 200
    assert faults_of("mastodon_openapi.json", schema_of("mastodon_openapi.json", template), answer.json()) == []


@pytest.mark.parametrize(("path", "status"), [("/api/v1/accounts/1", "404"), ("/api/v1/instance", "401")])
def test_an_error_of_mastodon_keeps_the_contract(client: Any, path: str, status: str) -> None:
    answer = client.get(f"/mastodon{path}", headers={} if status == "401" else {"Authorization": "Bearer sandbox-mastodon-token"})
    assert answer.status_code == int(status)
    template = path.replace("accounts/1", "accounts/{id}")
    assert faults_of("mastodon_openapi.json", schema_of("mastodon_openapi.json", template, status), answer.json()) == []
