"""What Tolok sends, as the sandbox heard it, held against the vendors' own contracts. Skipped where these are absent.

Not here: the answers (tests/sandbox/test_sandbox_contracts.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from openapi_schema_validator import OAS30Validator, OAS31Validator, oas30_format_checker, oas31_format_checker

from connectors.clock import InjectedClock
from connectors.fetch import Fetched
from connectors.registry import platforms
from connectors.secret import Secret
from connectors.streams import Account
from connectors.x import EXPANSIONS, POST_FIELDS
from sandbox.server import TOKENS, Running
from sandbox.world import ACCOUNTS

CONTRACTS = Path(__file__).parents[2].parent / "shared/data/contracts"
pytestmark = pytest.mark.skipif(not CONTRACTS.is_dir(), reason=f"the vendors' contracts are not at {CONTRACTS}")
FILES = {"mastodon": "mastodon_openapi.json", "x": "x_openapi.json"}
VALIDATORS = {"mastodon": (OAS31Validator, oas31_format_checker), "x": (OAS30Validator, oas30_format_checker)}
# Limits that Mastodon's contract tells in prose ("Max 40 statuses").
IN_PROSE = re.compile(r"\bMax (\d+)")
CLASSIC = {"post.fields": "tweet.fields"}


@cache
def contract(platform: str) -> Any:
    return json.loads((CONTRACTS / FILES[platform]).read_text(encoding="utf-8"))


def operation(platform: str, path: str) -> tuple[str, dict[str, Any]]:
    """The contract's template for a path and its GET; a path with a literal in a place is preferred to one with a parameter there."""
    templates = [
        template
        for template, item in contract(platform)["paths"].items()
        if "get" in item and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)
    ]
    template = min(templates, key=lambda found: found.count("{"))
    return template, contract(platform)["paths"][template]["get"]


def parameters_of(platform: str, get: dict[str, Any]) -> dict[str, dict[str, Any]]:
    components = contract(platform)["components"].get("parameters", {})
    declared = [components[one["$ref"].rsplit("/", 1)[-1]] if "$ref" in one else one for one in get.get("parameters", [])]
    return {one["name"]: one for one in declared if one["in"] == "query"}


def value_of(platform: str, schema: dict[str, Any], values: list[str]) -> object:
    """The query's text as the type that the contract gives it; an array is comma-separated at X, repeated at Mastodon."""
    if schema.get("type") == "array":
        return values[0].split(",") if platform == "x" else values
    if schema.get("type") == "integer":
        return int(values[0])
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}[values[0]]
    return values[0]


def complaints(platform: str, target: str) -> list[str]:
    """What the contract says against a request."""
    address = urlsplit(target)
    _, get = operation(platform, address.path.removeprefix(f"/{platform}"))
    declared = parameters_of(platform, get)
    sent: dict[str, list[str]] = {}
    for name, value in parse_qsl(address.query, keep_blank_values=True):
        sent.setdefault(name.removesuffix("[]") if platform == "mastodon" else name, []).append(value)
    found = [f"{name} is required" for name, one in declared.items() if one.get("required") and name not in sent]
    found += [f"{name} is not declared" for name in sent if name not in declared]
    for name, values in sent.items():
        if name not in declared:
            continue
        schema, (validator, formats) = declared[name]["schema"], VALIDATORS[platform]
        typed = value_of(platform, schema, values)
        whole = {"allOf": [schema], "components": contract(platform)["components"]}
        found += [f"{name}: {error.message[:120]}" for error in validator(whole, format_checker=formats).iter_errors(typed)]
        most = IN_PROSE.search(schema.get("description", ""))
        if most and isinstance(typed, int) and typed > int(most[1]):
            found.append(f"{name}: more than {most[1]}")
    return found


@pytest.fixture
def heard(
    sandbox: Running, clock: InjectedClock, fetch: Callable[..., tuple[Fetched, bytes]]
) -> Callable[[str, str, dict[str, str | bool]], list[str]]:
    """The requests that reading a stream to its end makes, page by page."""

    def read(platform: str, name: str, options: dict[str, str | bool]) -> list[str]:
        own = next(one for one in ACCOUNTS if one.platform == platform)
        account = Account("i", platform, own.id, own.handle, f"{sandbox.url}/{platform}", Secret(TOKENS[platform][0]), options=options)
        stream = platforms()[platform].stream(name)
        small = {name: "5" for name in ("limit", "max_results") if name in stream.params}
        sandbox.set_now(clock.now())
        sandbox.forget_requests()
        for one in (stream, replace(stream, params={**stream.params, **small})):
            fetched, _ = fetch(one, account, days=6)
            assert fetched.is_complete, fetched.reason
        return [entry["path"] for entry in sandbox.requests()]

    return read


STREAMS = [
    (connector.platform, stream.name) for connector in platforms().values() for stream in connector.streams if connector.platform in FILES
]
OPTIONS: list[dict[str, str | bool]] = [{}, {"private_metrics": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=["any token", "the account's own token"])
@pytest.mark.parametrize(("platform", "name"), STREAMS)
def test_every_request_keeps_the_vendors_contract(
    heard: Callable[[str, str, dict[str, str | bool]], list[str]], platform: str, name: str, options: dict[str, str | bool]
) -> None:
    targets = heard(platform, name, options)
    assert targets
    assert {target: complaints(platform, target) for target in targets if complaints(platform, target)} == {}


@pytest.mark.parametrize(("platform", "name"), [one for one in STREAMS if one[1] not in {"accounts", "mention_hours"}])
def test_the_lists_were_read_over_several_pages(
    heard: Callable[[str, str, dict[str, str | bool]], list[str]], platform: str, name: str
) -> None:
    """Otherwise no paging parameter would have been held against the contract."""
    assert len(heard(platform, name, {})) > 2


@pytest.mark.parametrize("name", ["posts", "mentions"])
def test_the_classic_dialect_differs_in_names_alone(heard: Callable[[str, str, dict[str, str | bool]], list[str]], name: str) -> None:
    """X's prose documents `tweet.fields`, its contract `post.fields`: the other parameters and their values are the same."""
    targets = [heard("x", name, {"fields_parameter": dialect})[0] for dialect in ("post.fields", "tweet.fields")]
    post, tweet = (dict(parse_qsl(urlsplit(target).query)) for target in targets)
    assert urlsplit(targets[0]).path == urlsplit(targets[1]).path
    assert set(tweet) == {CLASSIC.get(parameter, parameter) for parameter in post}
    assert {parameter for parameter in post if post[parameter] != tweet.get(parameter)} == {"post.fields", "expansions"}
    assert complaints("x", targets[0]) == []
    assert {complaint.partition(" ")[0].rstrip(":") for complaint in complaints("x", targets[1])} == {"tweet.fields", "expansions"}


def test_both_dialects_ask_for_the_same_things() -> None:
    """The classic one has fields for what the other gives by expansions."""

    def things(dialect: str) -> set[str]:
        asked = {*POST_FIELDS[dialect].split(","), *EXPANSIONS[dialect].split(",")}
        return {name.replace("tweets", "posts").replace("tweet", "post").removesuffix(".id") for name in asked}

    assert things("post.fields") == things("tweet.fields")


@pytest.mark.parametrize(
    ("platform", "target", "complaint"),
    [
        ("x", "/x/2/users/1/tweets?max_results=500", "max_results: 500 is greater"),
        ("x", "/x/2/users/1/tweets?post.fields=likes", "post.fields: 'likes' is not one of"),
        ("x", "/x/2/users/1/tweets?post.fields=id,id", "post.fields: "),
        ("x", "/x/2/users/1/tweets?start_time=yesterday", "start_time: 'yesterday' is not a 'date-time'"),
        ("x", "/x/2/tweets/counts/recent?granularity=hour", "query is required"),
        ("x", "/x/2/users/1/tweets?limit=5", "limit is not declared"),
        ("mastodon", "/mastodon/api/v1/accounts/1/statuses?limit=41", "limit: more than 40"),
        ("mastodon", "/mastodon/api/v1/notifications?types[]=mentions", "types: "),
        ("mastodon", "/mastodon/api/v1/notifications?kind=mention", "kind is not declared"),
    ],
)
def test_the_contract_refuses_what_is_wrong(platform: str, target: str, complaint: str) -> None:
    """Otherwise the tests above would prove nothing."""
    assert [found for found in complaints(platform, target) if found.startswith(complaint)]
