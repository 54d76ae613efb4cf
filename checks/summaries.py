"""What a promise is judged over: the rows of the changed months, or a summary of them that DuckDB makes in a few lines.

Not here: the promises (promises.py). A summary's lines have `what` (their name), the figures that an expectation looks at, and `rows` (the
rows behind them). All are one institution's. Its SQL may read

* `base`: the table's rows of the changed months, and `every_row`: those of all months;
* `values_`: the values of indicators among `base`, one a row, whether the table is long or wide;
* `defined`: the same with `unit_`, `additivity` and `alias_of` from the dictionary;
* `asked`: one row with `institution_id` and `now`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pipelines.tables import Table

FAMILY_TABLES = ("indicators.audience", "indicators.engagement", "indicators.conversation", "indicators.site")
COUNTERS = ("reactions", "comments_platform", "shares", "saves", "views", "impressions", "link_clicks")
SERIES = (
    "population_id",
    "scope",
    "level",
    "platform",
    "account_id",
    "dimension",
    "dimension_value",
    "period_type",
    "period_start",
    "cohort",
    "paid_scope",
)
# Ids name the institution's own accounts and posts, in digits; runs are named by hexadecimal digits.
NOT_WORDS = ("_id", "_status", "payload_hash")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the changed months' rows that several rows have, whatever their month; one key where all differ."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The values that stand in these columns of the changed months' rows, each combination with the key of its first row."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """Lines that the SQL makes; a function where it depends on the table's columns.

    `speaks_of_absence`: it has lines even where the table has no rows, and must be asked then too.
    """

    sql: str | Callable[[Table], str]
    speaks_of_absence: bool = False


Over = Keys | Rows | Summary


def query(over: Over, table: Table) -> str:
    """The SQL by which one institution's part is read. Its parameters: institution_id, months, now."""
    match over:
        case Keys():
            return f"{_sources(table)} {_twins(table)}"
        case Rows(columns):
            # Each combination of values once, by the first of its rows: 100,000 differences of counters are 35 numbers of days.
            names = ", ".join(f"{name}: {name}" for name in table.key if name not in columns)
            return f"{_sources(table)} SELECT {', '.join(columns)}, unnest(min({{{names}}})), count(*) AS rows FROM base GROUP BY {', '.join(columns)}"
        case Summary(sql):
            return f"{_sources(table)} {sql if isinstance(sql, str) else sql(table)}"


def _twins(table: Table) -> str:
    """Counted here: of the keys of two months, 100,000 and more, the library is shown those that could break the promise.

    Where the key holds the day, a row's twin lies in the same month.
    """
    keys = ", ".join(table.key)
    among = "base" if table.day in table.key else f"every_row SEMI JOIN (SELECT {keys} FROM base) AS changed USING ({keys})"
    return f"""
    , counted AS (SELECT {keys}, count(*) AS held FROM {among} GROUP BY {keys}),
    twins AS (FROM counted WHERE held > 1)
    SELECT {keys}, 1 AS rows FROM twins, range(held)
    UNION ALL SELECT {keys}, (SELECT sum(held)::BIGINT FROM counted) AS rows FROM (FROM counted LIMIT 1) WHERE NOT EXISTS (FROM twins)
    """


def speaks_of_absence(over: Over) -> bool:
    """There may be something to judge although the table has no rows."""
    return isinstance(over, Summary) and over.speaks_of_absence


def _sources(table: Table) -> str:
    changed = f"WHERE list_contains($months, date_trunc('month', {table.day})::DATE)" if table.day else "WHERE len($months) > 0"
    return f"""
    WITH asked AS (SELECT $institution_id AS institution_id, $now::TIMESTAMPTZ AS now),
    every_row AS (SELECT * FROM {table.name} WHERE institution_id = $institution_id),
    base AS (SELECT * FROM every_row {changed}),
    {_values(table)}"""


def _values(table: Table) -> str:
    """The CTEs `values_` and `defined`; nothing for tables that hold no indicators."""
    indicators = wide_indicators(table)
    if indicators:
        names = set(table.names)
        parts = ", ".join(
            f"{{indicator_key: '{key}', value: {key}, status: {key}_status, "
            f"numerator: {f'{key}_numerator' if f'{key}_numerator' in names else 'NULL::BIGINT'}, "
            f"denominator: {f'{key}_denominator' if f'{key}_denominator' in names else 'NULL::BIGINT'}}}"
            for key in indicators
        )
        kept = ", ".join(name for name in ("institution_id", *SERIES, "period_end"))
        values = f"SELECT {kept}, each.* FROM (SELECT {kept}, unnest([{parts}]) AS each FROM base)"
    elif "indicator_key" in table.names and "value" in table.names:
        values = "SELECT * FROM base"
    else:
        return "nothing AS (SELECT 1)"
    return f"""values_ AS ({values}),
    defined AS (
        SELECT values_.*, entry.unit AS unit_, entry.additivity, entry.alias_of
        FROM values_ JOIN ref.indicator AS entry USING (institution_id, indicator_key)
    )"""


def wide_indicators(table: Table) -> list[str]:
    """The indicators that stand side by side in a wide table: every column that has its status beside it."""
    return [name for name in table.names if f"{name}_status" in table.names]


def texts(values: Iterable[str]) -> str:
    """A list of constants as SQL."""
    return "[" + ", ".join("'" + value.replace("'", "''") + "'" for value in values) + "]"


STATES = Summary(
    """
    SELECT indicator_key AS what, coalesce(values_.status, 'NULL') AS status, count(*) AS rows, count(value) AS found,
        if(values_.status = 'ok', count(*), 0) AS expected
    FROM values_ GROUP BY indicator_key, values_.status ORDER BY ALL
    """
)


def ranges(condition: str) -> Summary:
    """Per indicator for which the condition holds: its lowest and highest value."""
    return Summary(
        f"""
        SELECT indicator_key AS what, min(value) AS lowest, max(value) AS highest, count(*) AS rows
        FROM defined WHERE status = 'ok' AND ({condition}) GROUP BY 1 ORDER BY 1
        """
    )


def scales(bounds: Mapping[str, tuple[float, float]]) -> Summary:
    """Per indicator whose unit is a scale: its lowest and highest value beside the ends of the scale."""
    units = ", ".join(f"({texts([unit])}[1], {low}, {high})" for unit, (low, high) in bounds.items())
    return Summary(
        f"""
        SELECT indicator_key AS what, min(value) AS lowest, max(value) AS highest, floor_ AS floor, ceiling_ AS ceiling, count(*) AS rows
        FROM defined JOIN (VALUES {units}) AS scale(unit_, floor_, ceiling_) USING (unit_) WHERE status = 'ok' GROUP BY ALL ORDER BY ALL
        """
    )


def _keys_present(table: Table) -> str:
    counted = ", ".join(f"{{what: '{name}', found: count({name})}}" for name in table.key)
    return f"SELECT each.what, each.found, rows AS expected, rows FROM (SELECT unnest([{counted}]) AS each, count(*) AS rows FROM base)"


# One expectation for all columns of a key: GE takes 10 ms for each that it is asked.
KEYS_PRESENT = Summary(_keys_present)


def _not_numbers(table: Table) -> str:
    columns = [column.name for column in table.columns if column.type == "DOUBLE"]
    counted = ", ".join(f"{{what: '{name}', found: count(*) FILTER (NOT isfinite({name})), rows: count({name})}}" for name in columns)
    return f"SELECT each.what, each.found, 0 AS expected, each.rows FROM (SELECT unnest([{counted}]) AS each FROM base)"


# GE sees NaN in pandas as missing, hence the count.
NOT_NUMBERS = Summary(_not_numbers)


def words(column: str) -> Summary:
    """Each word that stands in a column; a missing one as NULL."""
    return Summary(f"SELECT coalesce(base.{column}, 'NULL') AS word, word AS what, count(*) AS rows FROM base GROUP BY ALL ORDER BY ALL")


def agreeing(condition: str, what: str) -> Summary:
    """Per `what`: how many rows there are (expected), and how many meet the condition (found)."""
    return Summary(
        f"SELECT {what} AS what, count(*) FILTER ({condition}) AS found, count(*) AS expected, count(*) AS rows FROM base GROUP BY 1 ORDER BY 1"
    )


COVERAGES = Summary(
    "SELECT indicator_key AS what, min(coverage) AS lowest, max(coverage) AS highest, count(coverage) AS rows FROM base GROUP BY 1 ORDER BY 1"
)


def denominators(without_parts: Iterable[str]) -> Summary:
    """Per ratio: its lowest denominator; a missing one counts as 0."""
    return Summary(
        f"""
        SELECT indicator_key AS what, min(coalesce(denominator, 0)) AS lowest, count(*) AS rows
        FROM defined WHERE status = 'ok' AND additivity = 'ratio' AND NOT list_contains({texts(without_parts)}, indicator_key)
        GROUP BY 1 ORDER BY 1
        """
    )


def deviations(scale: Mapping[str, int]) -> Summary:
    """Per indicator: how far a value lies from its parts, at most; relative to values above 1."""
    cases = "".join(f" WHEN {texts([key])}[1] THEN {factor}" for key, factor in scale.items())
    return Summary(
        f"""
        , parted AS (
            SELECT indicator_key, value, CASE
                WHEN additivity = 'ratio' THEN (CASE coalesce(alias_of, indicator_key){cases} ELSE 1 END) * numerator / nullif(denominator, 0)
                ELSE numerator END AS made
            FROM defined WHERE status = 'ok'
        )
        SELECT indicator_key AS what, max(abs(value - made) / greatest(1, abs(value))) AS deviation, count(made) AS rows
        FROM parted WHERE made IS NOT NULL GROUP BY 1 ORDER BY 1
        """
    )


NOTHING_DIVIDED = Summary(
    """
    SELECT indicator_key AS what, count(*) FILTER (denominator = 0 AND numerator > 0) AS found, 0 AS expected, count(*) AS rows
    FROM defined WHERE additivity = 'ratio' GROUP BY 1 ORDER BY 1
    """
)


def sums(part: str, whole: str, excepted: Iterable[str] = ()) -> Summary:
    """Per indicator: in how many series and periods (expected) there is a whole, and where it is the sum of its parts (found)."""
    return Summary(
        f"""
        , figures AS (
            SELECT indicator_key, {"" if whole == "institution" else "platform,"} count(*) AS held,
                max(numerator) FILTER (level = '{whole}') AS whole_n, sum(numerator) FILTER (level = '{part}') AS parts_n,
                max(denominator) FILTER (level = '{whole}') AS whole_d, sum(denominator) FILTER (level = '{part}') AS parts_d
            FROM defined
            WHERE additivity IN ('additive', 'stock', 'ratio') AND NOT list_contains({texts(excepted)}, indicator_key)
            GROUP BY indicator_key, population_id, scope, {"" if whole == "institution" else "platform,"} dimension, dimension_value, period_type,
                period_start, cohort, paid_scope
            HAVING count(*) FILTER (level = '{part}') > 0
        )
        SELECT indicator_key AS what, sum(held)::BIGINT AS rows, count(*) AS expected,
            count(*) FILTER (whole_n IS NOT DISTINCT FROM parts_n AND whole_d IS NOT DISTINCT FROM parts_d) AS found
        FROM figures GROUP BY 1 ORDER BY 1
        """
    )


RESOLVED = Summary(
    """
    SELECT indicator_key AS what, count(*) FILTER (entry.version = definition_version AND entry.unit = base.unit AND as_of IS NOT NULL) AS found,
        count(*) AS expected, count(*) AS rows
    FROM base LEFT JOIN ref.indicator AS entry USING (institution_id, indicator_key) GROUP BY 1 ORDER BY 1
    """
)
COLUMNS_RESOLVED = Summary(
    """
    SELECT indicator_key AS what, count(entry.version) AS found, count(*) AS expected, count(*) AS rows
    FROM values_ LEFT JOIN ref.indicator AS entry USING (institution_id, indicator_key) GROUP BY 1 ORDER BY 1
    """
)
TRAILING = Summary(
    """
    , as_of AS (SELECT max(day) AS last_day, count(*) FILTER (kind = 'snapshot') AS nights FROM meta.coverage JOIN asked USING (institution_id))
    SELECT population_id || ' ' || indicator_key AS what, count(*) AS rows,
        count(DISTINCT period_end) FILTER (period_type = 'trailing_28d') AS found,
        coalesce(date_diff('day', min(period_end) FILTER (period_type = 'trailing_28d'), any_value(last_day)) + 1, 1) AS expected
    FROM every_row, as_of WHERE level = 'institution' GROUP BY 1
    -- Asked as NOT EXISTS it keeps DuckDB 2.0 busy for minutes on 800,000 rows (measured); counted it takes 0.1 s.
    UNION ALL SELECT 'anything', 0, 0, 1 FROM as_of WHERE nights > 0 AND (SELECT count(*) FROM every_row) = 0
    ORDER BY 1
    """,
    speaks_of_absence=True,
)
# A period's rows end on one day in every table, so the changed months are enough: of eight years that is 1.6 s of 1.7 (measured).
_FAMILIES = " UNION ALL BY NAME ".join(
    f"SELECT indicator_key, {', '.join(SERIES)}, value, status FROM {name} WHERE institution_id = $institution_id AND period_end >= list_min($months)"
    for name in FAMILY_TABLES
)


def _mirrored(table: Table) -> str:
    named = [name for name in SERIES if name in table.names]
    fixed = {"scope": "all", "level": "institution", "platform": "all", "account_id": "all", "dimension": "all", "dimension_value": "all"}
    kept = " AND ".join(f"{name} = '{value}'" for name, value in fixed.items() if name not in table.names) or "true"
    on = " AND ".join(f"given.{name} = told.{name}" for name in named if name != "paid_scope")
    return f"""
    , given AS (FROM ({_FAMILIES}) WHERE {kept}),
    told AS (SELECT *, coalesce(alias_of, indicator_key) AS source FROM defined)
    SELECT told.indicator_key AS what, count(*) AS expected, count(*) AS rows,
        count(*) FILTER (if(given.status IS NULL, told.status <> 'ok', given.status = told.status AND given.value IS NOT DISTINCT FROM told.value)) AS found
    FROM told LEFT JOIN given ON given.indicator_key = told.source AND {on} GROUP BY 1 ORDER BY 1
    """


MIRRORED = Summary(_mirrored)
NAMED = Summary(
    f"""
    , periods AS (
        SELECT DISTINCT population_id, period_type, period_start FROM ({_FAMILIES})
        WHERE level = 'institution' AND period_type IN ('week', 'month', 'trailing_28d')
    ),
    due AS (
        SELECT goal_key, indicator_key, period_type, period_start
        FROM asked JOIN ref.goal_choice USING (institution_id) JOIN ref.goal_indicator USING (institution_id, goal_key)
        LEFT JOIN periods USING (population_id)
        WHERE named_by <> 'practice' AND EXISTS (FROM periods)
    ),
    have AS (SELECT DISTINCT goal_key, indicator_key, period_type, period_start, true AS is_there FROM every_row)
    SELECT goal_key || coalesce(' ' || period_type, '') AS what, count(*) AS expected, count(is_there) AS found, count(*) AS rows
    FROM due LEFT JOIN have USING (goal_key, indicator_key, period_type, period_start) GROUP BY 1 ORDER BY 1
    """,
    speaks_of_absence=True,
)


def _words_in(table: Table) -> str:
    columns = [
        (column.name, f"array_to_string({column.name}, ' ')" if column.type == "VARCHAR[]" else column.name)
        for column in table.columns
        if column.type in {"VARCHAR", "VARCHAR[]"} and not column.name.endswith(NOT_WORDS) and column.name != "platform"
    ]
    each = ", ".join(f"{{what: '{name}', word: {text}}}" for name, text in columns)
    return f"""
    , own AS (
        SELECT '(^|[^\\w/@.])@(' || string_agg(regexp_escape(handle), '|') || ')(@[A-Za-z0-9.-]+)?\\b' AS handles
        FROM ref.account JOIN asked USING (institution_id)
    ),
    told AS (SELECT each.what, each.word, count(*) AS rows FROM (SELECT unnest([{each}]) AS each FROM base) WHERE each.word IS NOT NULL GROUP BY ALL)
    SELECT what, coalesce(regexp_replace(word, handles, '\\1', 'gi'), word) AS word, rows FROM told, own ORDER BY ALL
    """


# Each text once, without the handles of the institution's own accounts.
WORDS = Summary(_words_in)

_SNAPSHOTS = "JOIN staging.post_snapshots AS stood USING (institution_id, platform, account_id, post_id, day)"
DIFFERENCES = Summary(
    f"""
    , lined AS (
        SELECT platform, account_id, post_id, day, unnest([
            {", ".join(f"{{what: '{name}', change: moved.{name}, stood: stood.{name}}}" for name in COUNTERS)}
        ]) AS each
        FROM every_row AS moved SEMI JOIN base USING (platform, account_id, post_id) {_SNAPSHOTS}
    ),
    by_post AS (
        SELECT each.what, coalesce(sum(each.change), 0) AS moved, count(*) - count(each.change) AS unknown, count(*) AS held,
            first(each.change ORDER BY day) AS first_change, first(each.stood ORDER BY day) AS baseline, last(each.stood ORDER BY day) AS last_stood
        FROM lined GROUP BY platform, account_id, post_id, each.what
    )
    SELECT what, count(*) AS expected, sum(held)::BIGINT AS rows,
        count(*) FILTER (moved = last_stood - if(first_change IS NULL, baseline, 0)) AS found
    FROM by_post
    -- A counter that was not given in between, or a post that started anew after a long gap, has no one baseline.
    WHERE last_stood IS NOT NULL AND (unknown = 0 OR (unknown = 1 AND first_change IS NULL AND baseline IS NOT NULL))
    GROUP BY 1 ORDER BY 1
    """
)


def falls(smallest: int) -> Summary:
    """Per counter of posts: the deepest fall, as a share of where it stood before (from `smallest` on)."""
    return Summary(
        f"""
        , lined AS (
            SELECT unnest([{", ".join(f"{{what: '{name}', change: moved.{name}, before: stood.{name} - moved.{name}}}" for name in COUNTERS)}]) AS each
            FROM base AS moved {_SNAPSHOTS}
        )
        SELECT each.what, min(each.change / each.before) AS deepest, count(*) AS rows FROM lined WHERE each.before >= {smallest} GROUP BY 1 ORDER BY 1
        """
    )


def follower_falls(smallest: int) -> Summary:
    """Per account: the deepest fall of its followers from one snapshot to the next."""
    return Summary(
        f"""
        , lined AS (SELECT *, lag(followers) OVER (PARTITION BY platform, account_id ORDER BY day) AS before FROM every_row)
        SELECT platform || '/' || account_id AS what, min(followers / before - 1) AS deepest, count(*) AS rows
        FROM lined SEMI JOIN base USING (platform, account_id, day) WHERE before >= {smallest} GROUP BY 1 ORDER BY 1
        """
    )


FETCHED_ACCOUNTS = Summary(
    """
    SELECT platform || '/' || account_id AS what, count(*) AS expected, count(*) AS rows, count(seen.day) AS found
    FROM meta.coverage AS known JOIN asked USING (institution_id) LEFT JOIN every_row AS seen USING (institution_id, platform, account_id, day)
    WHERE known.stream = 'accounts' AND known.is_known GROUP BY 1 ORDER BY 1
    """,
    speaks_of_absence=True,
)


def usual_rows(smallest: int) -> Summary:
    """Per account: posts on its last known day, beside half of the median of the 28 known days before it."""
    return Summary(
        f"""
        , known AS (
            SELECT platform, account_id, day FROM meta.coverage JOIN asked USING (institution_id) WHERE stream = 'posts' AND is_known
        ),
        listed AS (
            SELECT platform, account_id, day, count(post_id) AS posts FROM known LEFT JOIN every_row USING (platform, account_id, day) GROUP BY ALL
        ),
        held AS (SELECT *, row_number() OVER (PARTITION BY platform, account_id ORDER BY day DESC) AS age FROM listed)
        SELECT platform || '/' || account_id AS what, max(posts) FILTER (age = 1) AS found, median(posts) FILTER (age BETWEEN 2 AND 29) / 2 AS expected,
            sum(posts)::BIGINT AS rows
        FROM held GROUP BY 1 HAVING median(posts) FILTER (age BETWEEN 2 AND 29) >= {smallest} ORDER BY 1
        """,
        speaks_of_absence=True,
    )


ROOTS = Summary(
    """
    SELECT base.post_type AS what, count(*) AS expected, count(*) AS rows, count(root.post_id) AS found
    FROM base LEFT JOIN every_row AS root
        ON root.platform = base.platform AND root.account_id = base.account_id AND root.post_id = base.root_id AND root.root_id = root.post_id
    GROUP BY 1 ORDER BY 1
    """
)
STREAMS = Summary(
    """
    , as_of AS (SELECT max(day)::VARCHAR AS expected FROM every_row)
    SELECT platform || '/' || account_id || ' ' || stream AS what, coalesce(max(day)::VARCHAR, 'never') AS found, any_value(expected) AS expected,
        count(day) AS rows
    FROM as_of, asked JOIN ref.account USING (institution_id) JOIN ref.stream USING (institution_id, platform)
        LEFT JOIN every_row USING (institution_id, platform, account_id, stream)
    GROUP BY 1 ORDER BY 1
    """,
    speaks_of_absence=True,
)
NIGHTS_BEHIND = Summary(
    """
    SELECT 'the ledger' AS what, coalesce(date_diff('day', max(every_row.day), any_value(today.day)), 9999) AS nights, count(every_row.day) AS rows
    FROM asked JOIN ref.local_day AS today ON today.institution_id = asked.institution_id
        AND asked.now - INTERVAL 12 HOUR >= today.starts_at AND asked.now - INTERVAL 12 HOUR < today.ends_at
    LEFT JOIN every_row ON every_row.institution_id = asked.institution_id
    """,
    speaks_of_absence=True,
)
