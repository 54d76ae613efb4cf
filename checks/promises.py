"""The promises that published tables keep: each a sentence that Great Expectations can judge. A new one is one entry.

Not here: what they are judged over (summaries.py), who asks and what follows (gate.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Literal

from checks.judge import Expectation
from checks.summaries import (
    COLUMNS_RESOLVED,
    COVERAGES,
    DIFFERENCES,
    FETCHED_ACCOUNTS,
    KEYS_PRESENT,
    MIRRORED,
    NAMED,
    NIGHTS_BEHIND,
    NOT_NUMBERS,
    NOTHING_DIVIDED,
    RESOLVED,
    ROOTS,
    STATES,
    STREAMS,
    TRAILING,
    WORDS,
    Keys,
    Over,
    Rows,
    agreeing,
    denominators,
    deviations,
    falls,
    follower_falls,
    ranges,
    scales,
    sums,
    texts,
    usual_rows,
    words,
)
from pipelines.tables import Table

Severity = Literal["withhold", "warn"]
WITHHOLD: Severity = "withhold"
WARN: Severity = "warn"
# Stands for the table's own key columns.
KEY = object()


@dataclass(frozen=True, slots=True)
class Promise:
    """A sentence about tables.

    Args:
        tables: names or patterns; one that begins with ! takes tables out.
        slug: short name, stable over versions.
        is_quoted: a message may repeat values that break it.
    """

    tables: tuple[str, ...]
    slug: str
    sentence: str
    expected: tuple[Expectation, ...]
    over: Over
    severity: Severity = WITHHOLD
    is_quoted: bool = True

    def is_about(self, table_name: str) -> bool:
        """The promise is made for the table."""
        named = any(fnmatchcase(table_name, pattern) for pattern in self.tables if not pattern.startswith("!"))
        return named and not any(fnmatchcase(table_name, pattern[1:]) for pattern in self.tables if pattern.startswith("!"))

    def expectations(self, table: Table) -> list[Expectation]:
        """The expectations, with the table's columns where they ask for its key."""
        return [_for_key(each, table.key) for each in self.expected]


def _for_key(expectation: Expectation, names: tuple[str, ...]) -> Expectation:
    """The expectation about the key's columns, where it stands for them. The compound one refuses a single column."""
    if KEY not in expectation.arguments.values():
        return expectation
    if len(names) == 1:
        return Expectation("ExpectColumnValuesToBeUnique", {"column": names[0]})
    return Expectation(expectation.type, {"column_list": list(names)})


def expect(type_: str, **arguments: object) -> Expectation:
    """An expectation, by the name of its class in Great Expectations."""
    return Expectation(type_, arguments)


def promise(  # noqa: PLR0913 a promise has six parts
    tables: str | tuple[str, ...],
    slug: str,
    sentence: str,
    *expected: Expectation,
    over: Over,
    severity: Severity = WITHHOLD,
    is_quoted: bool = True,
) -> Promise:
    """A promise about one table or several."""
    return Promise((tables,) if isinstance(tables, str) else tables, slug, sentence, expected, over, severity, is_quoted)


SCORECARD = "goals.goal_scorecard"
GOALS = ("goals.goal_*", f"!{SCORECARD}")
FAMILIES = ("indicators.*", "!indicators.*_measures", "!indicators.content_leaderboard")
VALUES = (*FAMILIES, "goals.goal_*")

STATUSES = (
    "ok",
    "not_permitted",
    "lost",
    "missing_input",
    "insufficient_history",
    "zero_denominator",
    "below_min_n",
    "suppressed_by_platform",
    "retired",
    "not_reached",
    "not_connected",
    "not_applicable",
)
LEDGER_STATUSES = ("expected", "fetched", "revised", "unavailable", "not_permitted", "retired", "lost")
POST_TYPES = ("post", "quote", "reel", "short", "video", "live", "carousel", "story", "thread_part", "reply", "repost")

OF_ACCOUNTS = ("followers", "following", "posts_total", "reach", "reach_7d", "reach_28d")

# Differences of counters may be negative (unlikes, purges), and so may what is made of them. All other counts may not.
MOVEMENTS = (
    "reactions",
    "shares",
    "amplification",
    "saves",
    "views",
    "impressions",
    "link_clicks",
    "comments_platform",
    "engagement_count",
)
SIGNED_COUNTS = (*MOVEMENTS, "net_new_followers")
# A loss of more than this in one period is worth a look [D].
LARGE_LOSS = 100
GROWTH = ("audience_growth_rate", "topic_growth")
# Over a denominator that the platform estimates, or counts on its own clock; over cohorts that may convert later.
MAY_EXCEED_1 = (
    "engagement_rate",
    "engagement_rate_views",
    "engagement_rate_followers",
    "engagement_rate_native",
    "virality_rate",
    "ctr",
    "ctr_reach",
    "amplification_rate_followers",
    "follower_reach_share",
    "internal_reach_rate",
    "conversion_rate",
    "donation_conversion_rate",
)
# Units that are scales, with their ends; fractions have a promise of their own.
SCALES = {
    "points": (-100, 100),
    "score from −1 to 1": (-1, 1),  # noqa: RUF001 the registry's own spelling
    "score from −2 to 2": (-2, 2),  # noqa: RUF001 likewise
    "index from 25 to 100": (25, 100),
    "level": (0, 3),
}
# What the quotient is multiplied by; 1 for all others.
FACTORS = {"comment_score": 1000}
# Made of another ratio's values, so without a numerator and denominator of its own.
WITHOUT_PARTS = ("comment_score_index",)
# An item that names two accounts of a platform is one item of the platform.
DISTINCT_ITEMS = ("conversation_volume", "mentions", "mentions_tagged", "mentions_untagged")
# Floats that come from one division differ from it by less than this.
ROUNDING = 1e-12
# A counter that falls by more than this in a night was purged, or misread. Below 10, one unlike is more than that.
DEEPEST_FALL = -0.2
SMALLEST_COUNTER = 10
# Fewer posts than this say nothing of what is usual.
SMALLEST_LISTING = 4
MAX_DELTA_DAYS = 35
AT_AGE = ("reactions", "shares", "saves", "views", "impressions", "link_clicks", "reach", "comments_audience", "followers_at_publication")

E_MAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
MOBILE = r"(?<![\w.,-])(?:\+?62|0)[ .()-]{0,3}8\d{1,2}(?:[ .-]{0,3}\d){6,9}(?!\d)"
NIK = r"(?<!\d)\d{16}(?!\d)"
HANDLE = r"(?<![\w/@.])@\w"

EQUAL = expect("ExpectColumnPairValuesToBeEqual", column_A="found", column_B="expected")


def between(column: str, low: float | None = None, high: float | None = None) -> Expectation:
    """The column's values lie between the two; without one end they are open there."""
    return expect("ExpectColumnValuesToBeBetween", column=column, min_value=low, max_value=high)


def among(column: str, vocabulary: tuple[str, ...]) -> Expectation:
    """The column's values are words of the vocabulary."""
    return expect("ExpectColumnValuesToBeInSet", column=column, value_set=list(vocabulary))


def without(pattern: str) -> Expectation:
    """No word holds the pattern."""
    return expect("ExpectColumnValuesToNotMatchRegex", column="word", regex=pattern)


def is_one_of(keys: tuple[str, ...]) -> str:
    """SQL: the indicator is one of these, by whatever name it stands."""
    return f"list_contains({texts(keys)}, coalesce(alias_of, indicator_key))"


ANY_TABLE: tuple[Promise, ...] = (
    promise("*", "key-unique", "A key names one row.", expect("ExpectCompoundColumnsToBeUnique", column_list=KEY), over=Keys()),
    promise("*", "key-present", "No part of a key is NULL.", EQUAL, over=KEYS_PRESENT),
    promise(
        # Reference is written by the project and by the institution itself, and explains what an @mention is.
        ("*", "!ref.*"),
        "no-identifiers",
        "No text holds an e-mail address, a mobile number, a NIK, or a handle that is not the institution's own.",
        *map(without, (E_MAIL, MOBILE, NIK, HANDLE)),
        over=WORDS,
        is_quoted=False,
    ),
)
OF_VALUES: tuple[Promise, ...] = (
    promise(VALUES, "status-known", "A status is a word of the vocabulary.", among("status", STATUSES), over=STATES),
    promise(VALUES, "value-when-ok", "A value is there exactly when its status is ok.", EQUAL, over=STATES),
    promise(VALUES, "finite", "No figure is infinite or not a number.", EQUAL, over=NOT_NUMBERS),
    promise(
        VALUES,
        "fraction-bounded",
        "A fraction lies between 0 and 1, unless it tells growth or the platform estimates it.",
        between("lowest", 0),
        between("highest", None, 1),
        over=ranges(f"unit_ = 'fraction' AND NOT {is_one_of((*GROWTH, *MAY_EXCEED_1))}"),
    ),
    promise(VALUES, "growth-bounded", "Nothing shrinks by more than itself.", between("lowest", -1), over=ranges(is_one_of(GROWTH))),
    promise(
        VALUES,
        "scale-bounded",
        "A score lies within its scale.",
        expect("ExpectColumnPairValuesAToBeGreaterThanB", column_A="lowest", column_B="floor", or_equal=True),
        expect("ExpectColumnPairValuesAToBeGreaterThanB", column_A="ceiling", column_B="highest", or_equal=True),
        over=scales(SCALES),
    ),
    promise(
        VALUES,
        "count-not-negative",
        "A count of posts, comments, mentions, people or clicks is not negative, nor is a rate made of counts.",
        between("lowest", 0),
        over=ranges(
            f"NOT {is_one_of((*SIGNED_COUNTS, *GROWTH))} AND NOT list_contains({texts(SCALES)}, unit_) AND additivity <> 'quantile'"
        ),
    ),
    promise(
        VALUES,
        "loss-not-large",
        f"A movement of counters is not below -{LARGE_LOSS} in a period.",
        between("lowest", -LARGE_LOSS),
        over=ranges(is_one_of(MOVEMENTS)),
        severity=WARN,
    ),
    promise(
        VALUES,
        "ratio-has-denominator",
        "A ratio that is ok was divided by more than 0.",
        between("lowest", 1),
        over=denominators(WITHOUT_PARTS),
    ),
    promise(
        VALUES,
        "value-is-its-parts",
        "A ratio is its numerator over its denominator, a count its numerator.",
        between("deviation", None, ROUNDING),
        over=deviations(FACTORS),
    ),
    promise(VALUES, "nothing-over-zero", "Nothing is counted over a denominator of 0.", EQUAL, over=NOTHING_DIVIDED, severity=WARN),
    promise(
        VALUES,
        "period-complete",
        "A period is complete exactly when it ended by the as-of day.",
        EQUAL,
        over=agreeing("is_complete_period = (period_end <= as_of)", "period_type"),
    ),
)
OF_FAMILIES: tuple[Promise, ...] = (
    promise(
        (*FAMILIES, SCORECARD),
        "coverage-bounded",
        "A coverage lies between 0 and 1.",
        between("lowest", 0),
        between("highest", None, 1),
        over=COVERAGES,
    ),
    promise(
        (*FAMILIES, SCORECARD),
        "value-resolves",
        "A value names an indicator of the dictionary, its version, its unit and its as-of day.",
        EQUAL,
        over=RESOLVED,
    ),
    promise(
        FAMILIES,
        "institution-is-sum",
        "What adds up stands at the institution as the sum of its platforms.",
        EQUAL,
        over=sums("platform", "institution"),
    ),
    promise(
        FAMILIES,
        "platform-is-sum",
        "What adds up stands at a platform as the sum of its accounts, unless items are distinct there.",
        EQUAL,
        over=sums("account", "platform", DISTINCT_ITEMS),
    ),
    promise(FAMILIES, "trailing-windows", "The windows of 28 days end on every day up to the as-of day.", EQUAL, over=TRAILING),
)
OF_GOALS: tuple[Promise, ...] = (
    promise(GOALS, "column-resolves", "A column of a goal's table is an indicator of the dictionary.", EQUAL, over=COLUMNS_RESOLVED),
    promise("goals.goal_*", "goal-repeats-indicator", "A goal's figure and status are those of the indicator.", EQUAL, over=MIRRORED),
    promise(
        SCORECARD,
        "named-all-there",
        "Every indicator that the source names for a goal of the institution stands in every period.",
        EQUAL,
        over=NAMED,
    ),
    promise(
        SCORECARD,
        "trend-known",
        "A trend is a word of the vocabulary.",
        among("word", ("up", "down", "flat", "insufficient_history", "definition_break")),
        over=words("trend"),
    ),
    promise(
        SCORECARD,
        "light-known",
        "A light is green, amber, red or grey.",
        among("word", ("green", "amber", "red", "grey")),
        over=words("rag"),
    ),
    promise(
        SCORECARD,
        "light-follows-attainment",
        "A light is green from 1, amber from 0.8, red below, and grey where nothing can be judged yet.",
        EQUAL,
        over=agreeing(
            "rag = CASE WHEN attainment IS NULL OR NOT is_complete_period THEN 'grey' WHEN attainment >= 1 THEN 'green' "
            "WHEN attainment >= 0.8 THEN 'amber' ELSE 'red' END",
            "goal_key",
        ),
    ),
    promise(
        SCORECARD,
        "change-is-difference",
        "A change is the value less the one before, and absent while the period runs or where one of them is.",
        EQUAL,
        over=agreeing("change_abs IS NOT DISTINCT FROM CASE WHEN is_complete_period THEN value - previous_value END", "goal_key"),
    ),
)
OF_FACTS: tuple[Promise, ...] = (
    promise(
        "staging.posts", "post-type-known", "A post's type is a word of the vocabulary.", among("word", POST_TYPES), over=words("post_type")
    ),
    promise("staging.posts", "root-exists", "A post is counted with a first post that is there.", EQUAL, over=ROOTS),
    promise(
        "staging.post_days",
        "differences-sum",
        "A post's differences add up to where its counter stands less where it began.",
        EQUAL,
        over=DIFFERENCES,
    ),
    promise(
        "staging.post_days",
        "counter-not-fallen",
        "No counter of a post falls by more than 20 % from one snapshot to the next.",
        between("deepest", DEEPEST_FALL),
        over=falls(SMALLEST_COUNTER),
        severity=WARN,
    ),
    promise(
        "staging.post_days",
        "difference-spans-days",
        f"A difference spans 1 to {MAX_DELTA_DAYS} days.",
        between("delta_days", 1, MAX_DELTA_DAYS),
        over=Rows(("delta_days",)),
    ),
    promise(
        "staging.post_days",
        "listing-usual",
        "An account's last listing holds at least half as many posts as usual.",
        expect("ExpectColumnPairValuesAToBeGreaterThanB", column_A="found", column_B="expected", or_equal=True),
        over=usual_rows(SMALLEST_LISTING),
        severity=WARN,
    ),
    promise(
        "staging.account_days",
        "followers-not-negative",
        "Followers, followed, posts of an account, and people reached, are not negative.",
        *map(partial(between, low=0), OF_ACCOUNTS),
        over=Rows(OF_ACCOUNTS),
    ),
    promise(
        "staging.account_days",
        "followers-not-fallen",
        "No account loses more than 20 % of its followers from one snapshot to the next.",
        between("deepest", DEEPEST_FALL),
        over=follower_falls(SMALLEST_COUNTER),
        severity=WARN,
    ),
    promise(
        "staging.account_days",
        "fetched-is-there",
        "A day on which the account was fetched has its row.",
        EQUAL,
        over=FETCHED_ACCOUNTS,
        severity=WARN,
    ),
    promise(
        "indicators.post_measures",
        "counter-not-negative",
        "A post's counters at the age of 7 days are not negative.",
        *map(partial(between, low=0), AT_AGE),
        over=Rows(AT_AGE),
    ),
    promise(
        "indicators.post_measures",
        "reach-below-views",
        "A post reaches no more people than it has views.",
        expect(
            "ExpectColumnPairValuesAToBeGreaterThanB",
            column_A="exposures",
            column_B="reach",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        over=Rows(("exposures", "reach")),
        severity=WARN,
    ),
    promise(
        ("staging.post_days", "indicators.post_measures"),
        "no-synonyms",
        "A platform gives views or impressions, not both: they are one measure.",
        EQUAL,
        over=agreeing("views IS NULL OR impressions IS NULL", "platform"),
    ),
)
LEDGER = "meta.coverage"
OF_LEDGER: tuple[Promise, ...] = (
    promise(
        LEDGER,
        "ledger-status-known",
        "A ledger's status is a word of the vocabulary.",
        among("word", LEDGER_STATUSES),
        over=words("status"),
    ),
    promise(
        LEDGER,
        "ledger-kind-known",
        "A stream is a snapshot, an event or daily.",
        among("word", ("snapshot", "event", "daily")),
        over=words("kind"),
    ),
    promise(
        LEDGER,
        "known-is-fetched",
        "A day is known exactly when it was fetched.",
        EQUAL,
        over=agreeing("is_known = (status IN ('fetched', 'revised'))", "status"),
    ),
    promise(
        LEDGER,
        "gap-has-reason",
        "A day that is not known says why, and no other does.",
        EQUAL,
        over=agreeing("is_known = (reason IS NULL)", "status"),
    ),
    promise(
        LEDGER,
        "every-stream-told",
        "The ledger speaks of every stream of every account on the as-of day.",
        EQUAL,
        over=STREAMS,
        severity=WARN,
    ),
    promise(
        LEDGER,
        "ledger-fresh",
        "The ledger's as-of day is the last night's, or the one's before.",
        between("nights", None, 1),
        over=NIGHTS_BEHIND,
        severity=WARN,
    ),
)

PROMISES: tuple[Promise, ...] = (*ANY_TABLE, *OF_VALUES, *OF_FAMILIES, *OF_GOALS, *OF_FACTS, *OF_LEDGER)
