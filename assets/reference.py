"""Tables of reference that the rooms read: who the institution is, its accounts, populations, targets, days, and what platforms give.

Not here: the rows (pipelines/reference.py makes them from the settings and the registries).
"""

from __future__ import annotations

from pipelines.tables import Column, Table, key

INSTITUTION = Table(
    "ref.institution",
    "One row per institution: what it is called and by which days it counts.",
    (
        key("institution_id", "VARCHAR", "Key of the institution, the name of its file"),
        key("name", "VARCHAR", "Name"),
        key("language", "VARCHAR", "Language of its reports: id or en"),
        key("zone", "VARCHAR", "IANA time zone of its local dates"),
        key("fiscal_year_start", "VARCHAR", "First day of its fiscal year, MM-DD"),
    ),
    key=("institution_id",),
)
ACCOUNT = Table(
    "ref.account",
    "One row per account of an institution.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("account_id", "VARCHAR", "The platform's own id of the account"),
        key("handle", "VARCHAR", "The account's own handle, without @"),
        key("post_url", "VARCHAR", "How its posts are linked; {post_id} is the place of the id"),
        key("unasked_fields", "VARCHAR[]", "Fields that are not asked for, because the token is said not to be allowed them"),
    ),
    key=("institution_id", "platform", "account_id"),
)
STREAM = Table(
    "ref.stream",
    "One row per institution, platform and stream that is asked for: how it is kept and how long its values may change.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("stream", "VARCHAR", "The stream"),
        key("kind", "VARCHAR", "snapshot, event or daily"),
        key("lookback_days", "INTEGER", "Days that each run asks for again"),
        key("restates_days", "INTEGER", "Days for which a value may still change"),
        Column("expires_hours", "INTEGER", "Hours after which the platform shows a thing no more; NULL = it stays"),
    ),
    key=("institution_id", "platform", "stream"),
)
LOCAL_DAY = Table(
    "ref.local_day",
    "One row per institution and day: when the day begins and ends there.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("day", "DATE", "The local date"),
        key("starts_at", "TIMESTAMPTZ", "Its first instant"),
        key("ends_at", "TIMESTAMPTZ", "The first instant of the next day"),
    ),
    key=("institution_id", "day"),
)
GOAL_POPULATION = Table(
    "ref.goal_population",
    "One row per population: whose figures count for a goal. `all` always exists.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("population_id", "VARCHAR", "all, or the key of the goal that it was made for"),
        key("version", "INTEGER", "Version of the rule"),
        key("accounts", "VARCHAR[]", "Accounts as platform/id; empty = all"),
        key("hashtags", "VARCHAR[]", "A post with one of these belongs, lower case"),
        key("keywords", "VARCHAR[]", "A post whose text holds one of these belongs, lower case"),
        key("post_types", "VARCHAR[]", "A post of one of these types belongs"),
        key("is_open", "BOOLEAN", "There is no rule for posts: all belong"),
    ),
    key=("institution_id", "population_id"),
)
GOAL_CHOICE = Table(
    "ref.goal_choice",
    "One row per goal that an institution pursues: by which population it is judged.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("goal_key", "VARCHAR", "The goal"),
        key("population_id", "VARCHAR", "The population"),
    ),
    key=("institution_id", "goal_key"),
)
TARGET = Table(
    "ref.target",
    "One row per target and the span in which it holds.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("goal_key", "VARCHAR", "The goal"),
        key("indicator_key", "VARCHAR", "The indicator"),
        key("period_type", "VARCHAR", "week, month or trailing_28d"),
        key("valid_from", "DATE", "First day on which it holds"),
        Column("valid_to", "DATE", "Last day on which it holds; NULL = until further notice"),
        key("target", "DOUBLE", "The value aimed at, in the indicator's unit; for growth the wanted relative change"),
        key("target_type", "VARCHAR", "absolute, growth (over the previous period) or benchmark (times the own trailing median)"),
    ),
    key=("institution_id", "goal_key", "indicator_key", "period_type", "valid_from"),
)
GOAL = Table(
    "ref.goal",
    "One row per goal, with where it comes from.",
    (
        key("institution_id", "VARCHAR", "The institution that pursues it or not"),
        key("goal_key", "VARCHAR", "The goal"),
        key("number", "INTEGER", "Place in the article's list"),
        key("label_id", "VARCHAR", "Name in Bahasa Indonesia"),
        key("label_en", "VARCHAR", "Name in English"),
        key("question_id", "VARCHAR", "What it asks, in Bahasa Indonesia"),
        key("question_en", "VARCHAR", "What it asks, in English"),
        key("amec_level", "VARCHAR", "Level of the AMEC framework"),
        key("provenance", "VARCHAR", "article, earlier_article or reconstructed"),
        key("certainty", "VARCHAR", "How sure the attribution is"),
        key("source", "VARCHAR", "Where the goal is named"),
        key("is_enabled", "BOOLEAN", "The institution pursues it"),
    ),
    key=("institution_id", "goal_key"),
)
INDICATOR = Table(
    "ref.indicator",
    "One row per indicator: the dictionary of the numbers.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("indicator_key", "VARCHAR", "The indicator"),
        key("family", "VARCHAR", "Family of formulas"),
        key("label_id", "VARCHAR", "Name in Bahasa Indonesia"),
        key("label_en", "VARCHAR", "Name in English"),
        key("formula_id", "VARCHAR", "Formula in words, Bahasa Indonesia"),
        key("formula_en", "VARCHAR", "Formula in words, English"),
        key("unit", "VARCHAR", "Unit; a fraction is shown as %"),
        key("decimals", "INTEGER", "Decimals shown"),
        key("direction", "VARCHAR", "higher, lower, range or none is better"),
        key("additivity", "VARCHAR", "additive, stock, unique, ratio or quantile"),
        key("cohort", "VARCHAR", "activity or publication_d7"),
        key("null_rule_id", "VARCHAR", "When it is absent, Bahasa Indonesia"),
        key("null_rule_en", "VARCHAR", "When it is absent, English"),
        key("limits_id", "VARCHAR", "What it does not say, Bahasa Indonesia"),
        key("limits_en", "VARCHAR", "What it does not say, English"),
        key("authority", "VARCHAR", "Where the definition comes from, with links"),
        key("amec_level", "VARCHAR", "Level of the AMEC framework"),
        Column("alias_of", "VARCHAR", "The indicator that this is another name of; NULL = none"),
        Column("min_support", "INTEGER", "Smallest denominator for which a value is given; NULL = any"),
        Column("scale_min", "DOUBLE", "Lower end of a signed scale; NULL = unsigned"),
        key("is_computed", "BOOLEAN", "This version computes it; the others carry a status"),
        Column("method", "VARCHAR", "How it is computed: the method and the measures that it reads; NULL = not computed yet"),
        key("version", "INTEGER", "Version of the definition"),
        key("valid_from", "DATE", "Day from which the definition holds"),
    ),
    key=("institution_id", "indicator_key"),
)
GOAL_INDICATOR = Table(
    "ref.goal_indicator",
    "One row per goal and indicator by which it is judged.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("goal_key", "VARCHAR", "The goal"),
        key("indicator_key", "VARCHAR", "The indicator"),
        key("named_by", "VARCHAR", "article, earlier_article, reconstructed or practice"),
        key("position", "INTEGER", "Place in the goal's list, from 1"),
        key("weight", "DOUBLE", "Weight that the institution gives it; 0 = not judged"),
    ),
    key=("institution_id", "goal_key", "indicator_key"),
)
PLATFORM = Table(
    "ref.platform",
    "One row per platform of the institution: which API, which version, until when.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("label", "VARCHAR", "Its name"),
        key("api_version", "VARCHAR", "Version of the API that is asked"),
        Column("sunset", "DATE", "Last day of that version; NULL = none announced"),
        key("day_basis", "VARCHAR", "Whose days its own aggregates follow"),
        key("docs_url", "VARCHAR", "Its documentation"),
    ),
    key=("institution_id", "platform"),
)
AVAILABILITY = Table(
    "ref.availability",
    "One row per platform, measure and type of post: does the platform give it, from which number of its own, and what must the token be allowed.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("measure", "VARCHAR", "The measure"),
        key("post_type", "VARCHAR", "all, or the type of post for which it holds"),
        key("is_given", "BOOLEAN", "The platform gives it"),
        Column("needs_field", "VARCHAR", "The field that the token must be allowed to read; NULL = none in particular"),
        Column("valid_from", "DATE", "First day; NULL = always"),
        Column("valid_to", "DATE", "Last day; NULL = until further notice"),
        key("streams", "VARCHAR[]", "Streams of which the coverage says whether a day of it is known; empty = it is not given"),
        Column("metric", "VARCHAR", "The platform's own name of the number; NULL = it is not given"),
        Column("definition_version", "INTEGER", "Raised when the platform changes what it means; NULL = it is not given"),
        Column("paid_scope", "VARCHAR", "organic, paid, total or unknown: whether what was paid for is in it; NULL = it is not given"),
    ),
    key=("institution_id", "platform", "measure", "post_type"),
)
DATE = Table(
    "ref.date",
    "One row per day: ISO week, Indonesian month, Hijri date, national holiday.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("day", "DATE", "The day"),
        key("iso_year", "INTEGER", "Year of the ISO week"),
        key("iso_week", "INTEGER", "ISO week"),
        key("weekday_id", "VARCHAR", "Day of the week in Bahasa Indonesia"),
        key("month_id", "VARCHAR", "Month in Bahasa Indonesia"),
        key("hijri_year", "INTEGER", "Hijri year (Umm al-Qura)"),
        key("hijri_month", "INTEGER", "Hijri month, 9 = Ramadan (Umm al-Qura; Indonesia's own announcement may differ by a day)"),
        key("hijri_day", "INTEGER", "Day of the Hijri month"),
        Column("holiday_id", "VARCHAR", "National holiday in Bahasa Indonesia; NULL = none"),
    ),
    key=("institution_id", "day"),
)
DEFINITION_BREAK = Table(
    "ref.definition_break",
    "One row per date on which a platform changed what a measure means; trends are not drawn across it.",
    (
        key("institution_id", "VARCHAR", "The institution"),
        key("platform", "VARCHAR", "The platform"),
        key("measure", "VARCHAR", "The measure"),
        key("day", "DATE", "First day of the new meaning"),
        key("note", "VARCHAR", "What changed"),
    ),
    key=("institution_id", "platform", "measure", "day"),
)
REFERENCE = (
    INSTITUTION, ACCOUNT, STREAM, LOCAL_DAY, GOAL_POPULATION, GOAL_CHOICE, TARGET, GOAL, INDICATOR, GOAL_INDICATOR, PLATFORM, AVAILABILITY,
    DATE, DEFINITION_BREAK,
)  # fmt: skip
