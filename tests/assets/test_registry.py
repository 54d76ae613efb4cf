"""The dictionary of indicators and the eleven goals, held against the lists that the project promises.

Not here: whether a computed value is right (that is for the tests of the indicators).
"""

from __future__ import annotations

import re
from pkgutil import iter_modules
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import assets.goals
from assets.goals import goals
from assets.indicators.registry import indicators

if TYPE_CHECKING:
    from assets.goals.goal import Goal
    from assets.indicators.registry import Indicator

ENGAGEMENT = ("reactions", "comments_audience", "shares", "saves")

ARTICLE_FUNDRAISING = (
    "audience_growth_rate",
    "engagement_count",
    "engagement_rate",
    "link_clicks",
    "conversation_volume",
    "comment_score",
    "mentions",
    "shares",
    "reach",
)

EARLIER_ARTICLE_COMMUNITY = (
    "audience_growth_rate",
    "engagement_count",
    "engagement_rate",
    "amplification_rate",
    "link_clicks",
    "bounce_rate",
    "conversation_volume",
    "comment_score",
)

# Numbers that stand beside another one and judge no goal themselves.
COMPANIONS = {
    "comments_platform",  # the platform's count beside comments_audience
    "engagement_rate_native",  # the platform's own rate beside ours
    "amplification_rate_followers",  # variant of amplification_rate
    "ctr_reach",  # variant of ctr
}

COMPUTED = {
    "activity_sum": {
        "engagement_count",
        "reactions",
        "comments_audience",
        "shares",
        "saves",
        "views",
        "impressions",
        "link_clicks",
    },
    "event_count": {"posts", "conversation_volume", "mentions", "mentions_tagged"},
    "stock": {"followers"},
    "net_change": {"net_new_followers"},
    "growth_rate": {"audience_growth_rate"},
    "cohort_ratio": {
        "engagement_rate",
        "engagement_rate_views",
        "engagement_rate_followers",
        "applause_rate",
        "amplification_rate",
        "conversation_rate",
        "comment_score",
    },
    "score_index": {"comment_score_index"},
    "reach": {"reach"},
    "reach_lower": {"reach_lower"},
    "reach_upper": {"reach_upper"},
    "unavailable": {"bounce_rate", "bounced_sessions", "mentions_untagged"},
}

RATIOS_WITHOUT_A_FRACTION_BAR = {
    "nps",  # a difference of two shares
    "enps",
    "ces",  # a mean
    "ikm_skm",  # a weighted mean
    "net_sentiment_change",  # a difference of two ratios
}

TERMS_OF_THE_ARTICLE = {
    "audience_growth_rate": "Angka perkembangan khalayak",
    "engagement_count": "Jumlah keikutsertaan",
    "amplification": "Jumlah amplifikasi",
    "amplification_rate": "Angka amplifikasi",
    "link_clicks": "Jumlah pengklik sebuah konten",
    "bounce_rate": "Bounce rate (jumlah yang tidak bertahan)",
    "conversation_volume": "Jumlah perbincangan",
    "comment_score": "Skor jumlah komentar",
    "mentions": "Penyebutan",
    "shares": "Membagikan pos",
    "reach": "Jangkauan publikasi",
    "csat": "Angka kepuasan konsumen",
}


def texts(entry: Indicator) -> dict[str, str]:
    """Every text of an indicator that people read, by the name of its field."""
    fields = {"label": entry.label, "formula": entry.formula, "null_rule": entry.null_rule, "limits": entry.limits}
    spoken = {f"{name}.{language}": getattr(text, language) for name, text in fields.items() for language in ("id", "en")}
    return {**spoken, "unit": entry.unit, **{f"authority {n}": source.title for n, source in enumerate(entry.authority)}}


def goal_texts(goal: Goal) -> dict[str, str]:
    names = ("label_id", "label_en", "question_id", "question_en", "amec_level", "certainty", "source")
    return {name: getattr(goal, name) for name in names}


def test_there_are_eleven_goals_numbered_one_to_eleven() -> None:
    assert [goal.number for goal in goals().values()] == list(range(1, 12))


@pytest.mark.parametrize(
    ("provenance", "numbers"),
    [("reconstructed", {1, 2, 5, 6}), ("earlier_article", {3, 4}), ("article", {7, 8, 9, 10, 11})],
)
def test_each_goal_says_where_it_comes_from(provenance: str, numbers: set[int]) -> None:
    assert {goal.number for goal in goals().values() if goal.provenance == provenance} == numbers


def test_a_goal_bears_the_name_of_its_module() -> None:
    modules = {found.name for found in iter_modules(assets.goals.__path__)} - {"goal", "tables"}
    assert modules == set(goals())


def test_the_goals_of_the_author_stand_under_their_indonesian_names() -> None:
    assert {goal.number: goal.label_id for goal in goals().values() if goal.provenance != "reconstructed"} == {
        3: "Membangun dan memenej keikutsertaan komunitas",
        4: "Meningkatkan konversi atau penjualan",
        7: "Pelayanan/dukungan konsumen",
        8: "Perekrutan",
        9: "Mengidentifikasi krisis dan mengelola komunikasi",
        10: "Meningkatkan komunikasi internal",
        11: "Saluran donasi (zakat, wakaf, sedekah, hibah)",
    }


def test_every_indicator_of_a_goal_exists() -> None:
    missing = {(goal.key, key) for goal in goals().values() for key in goal.indicator_keys if key not in indicators()}
    assert missing == set()


def test_no_goal_lists_an_indicator_twice() -> None:
    twice = {goal.key for goal in goals().values() if len(set(goal.indicator_keys)) != len(goal.indicator_keys)}
    assert twice == set()


def test_fundraising_names_the_articles_list_in_its_order() -> None:
    assert goals()["fundraising"].named == ARTICLE_FUNDRAISING


def test_none_of_the_articles_indicators_for_fundraising_is_money() -> None:
    assert {key for key in goals()["fundraising"].named if indicators()[key].needs in {"giving", "finance"}} == set()


def test_community_engagement_names_the_earlier_articles_list_in_its_order() -> None:
    assert goals()["community_engagement"].named == EARLIER_ARTICLE_COMMUNITY


@pytest.mark.parametrize(
    ("goal_key", "named"),
    [
        ("conversion_sales", ("conversation_volume", "link_clicks", "bounce_rate")),
        ("customer_service", ("csat",)),
        ("recruitment", ("apply_conversion_rate",)),
        ("internal_communication", ("engagement_count", "engagement_rate", "amplification", "link_clicks", "bounce_rate")),
    ],
)
def test_a_goal_of_the_author_names_what_he_names_and_nothing_more(goal_key: str, named: tuple[str, ...]) -> None:
    assert goals()[goal_key].named == named


def test_crisis_communication_names_none_and_lives_on_practice() -> None:
    crisis = goals()["crisis_communication"]
    assert crisis.named == ()
    assert crisis.practice


def test_every_goal_but_the_crisis_names_at_least_one_indicator() -> None:
    assert [goal.key for goal in goals().values() if not goal.named] == ["crisis_communication"]


def test_a_crisis_is_not_judged_by_its_volume() -> None:
    volumes = ("volume_anomaly_z", "volume_ratio", "velocity", "peak_volume", "negative_reach", "share_of_crisis")
    assert {key: indicators()[key].direction for key in volumes} == dict.fromkeys(volumes, "none")


@pytest.mark.parametrize("goal_key", ["conversion_sales", "fundraising"])
def test_the_three_readings_of_perbincangan_stand_together(goal_key: str) -> None:
    assert {"conversation_volume", "conversation_rate", "conversion_rate"} <= set(goals()[goal_key].indicator_keys)


def test_where_conversation_is_counted_its_sentiment_is_shown() -> None:
    volume = {"conversation_volume", "mentions"}
    silent = {goal.key for goal in goals().values() if volume & set(goal.indicator_keys) and "net_sentiment" not in goal.indicator_keys}
    assert silent == set()


def test_a_bounce_rate_is_published_with_its_count() -> None:
    alone = {g.key for g in goals().values() if "bounce_rate" in g.indicator_keys and "bounced_sessions" not in g.indicator_keys}
    assert alone == set()


def test_every_indicator_serves_a_goal_or_is_a_known_companion() -> None:
    used = {key for goal in goals().values() for key in goal.indicator_keys}
    assert set(indicators()) - used == COMPANIONS


@pytest.mark.parametrize(("key", "term"), TERMS_OF_THE_ARTICLE.items())
def test_the_articles_terms_stand_as_it_writes_them(key: str, term: str) -> None:
    assert indicators()[key].label.id == term


def test_no_text_is_blank_or_ragged() -> None:
    ragged = {(e.key, name) for e in indicators().values() for name, text in texts(e).items() if not text or text != " ".join(text.split())}
    ragged |= {
        (g.key, name) for g in goals().values() for name, text in goal_texts(g).items() if not text or text != " ".join(text.split())
    }
    assert ragged == set()


def test_no_two_indicators_share_a_label() -> None:
    for language in ("id", "en"):
        labels = [getattr(entry.label, language).casefold() for entry in indicators().values()]
        assert {label for label in labels if labels.count(label) > 1} == set(), language


def test_a_text_is_not_the_same_in_both_languages() -> None:
    untranslated = {
        (entry.key, name)
        for entry in indicators().values()
        for name in ("formula", "null_rule", "limits")
        if getattr(entry, name).id == getattr(entry, name).en
    }
    assert untranslated == set()


def test_labels_and_sentences_begin_with_a_capital_and_sentences_end_with_a_stop() -> None:
    faults = set()
    for entry in indicators().values():
        for language in ("id", "en"):
            if not getattr(entry.label, language)[0].isupper():
                faults.add((entry.key, f"label.{language}"))
            for name in ("null_rule", "limits"):
                sentence = getattr(getattr(entry, name), language)
                if not sentence[0].isupper() or not sentence.endswith("."):
                    faults.add((entry.key, f"{name}.{language}"))
    assert faults == set()


def test_formulas_are_phrases_without_a_full_stop() -> None:
    assert {e.key for e in indicators().values() if e.formula.id.endswith(".") or e.formula.en.endswith(".")} == set()


def test_a_dash_is_a_minus_sign_or_joins_two_numbers() -> None:
    """No em dash; an en dash only within a range of figures; a minus is written as a minus, not as a hyphen."""
    stray = re.compile("\u2014|(?<!\\d)\u2013|\u2013(?!\\d)| - ")
    faults = {(e.key, name) for e in indicators().values() for name, text in texts(e).items() if stray.search(text)}
    faults |= {(g.key, name) for g in goals().values() for name, text in goal_texts(g).items() if stray.search(text)}
    assert faults == set()


def test_ratios_say_what_is_divided_by_what() -> None:
    ratios = {e.key for e in indicators().values() if e.additivity == "ratio"} - RATIOS_WITHOUT_A_FRACTION_BAR
    silent = {key for key in ratios if " / " not in indicators()[key].formula.id or " / " not in indicators()[key].formula.en}
    assert silent == set()


def test_a_computed_ratio_names_its_numerator_and_denominator() -> None:
    nameless = set()
    for entry in indicators().values():
        if (plan := entry.compute) and plan.method in {"cohort_ratio", "growth_rate"} and not (plan.numerator and plan.denominator):
            nameless.add(entry.key)
    assert nameless == set()


def test_fractions_are_ratios_and_never_summed() -> None:
    assert {e.key for e in indicators().values() if e.unit == "fraction" and e.additivity != "ratio"} == set()


def test_reach_is_a_count_of_distinct_people() -> None:
    reaches = ("reach", "reach_lower", "reach_upper", "job_post_reach", "advocacy_reach", "unique_clickers", "donors")
    assert {indicators()[key].additivity for key in reaches} == {"unique"}


@pytest.mark.parametrize(("method", "keys"), COMPUTED.items())
def test_what_is_computed_today_is_what_the_engine_knows(method: str, keys: set[str]) -> None:
    assert {entry.key for entry in indicators().values() if entry.compute and entry.compute.method == method} == keys


def test_engagement_is_made_of_four_parts_wherever_it_is_counted() -> None:
    engaged = ("engagement_count", "engagement_rate", "engagement_rate_views", "engagement_rate_followers")
    parts = {key: plan.numerator for key in engaged if (plan := indicators()[key].compute)}
    assert parts == dict.fromkeys(engaged, ENGAGEMENT)


def test_the_comment_score_counts_per_thousand_followers() -> None:
    plan = indicators()["comment_score"].compute
    assert plan is not None
    assert (plan.numerator, plan.denominator, plan.scale) == (("comments_audience",), "followers_at_publication", 1000)


def test_an_index_points_to_a_score_that_is_computed() -> None:
    targets = [plan.of for e in indicators().values() if (plan := e.compute) and plan.method == "score_index"]
    assert targets == ["comment_score"]
    assert indicators()["comment_score"].is_computed


def test_rates_of_posts_belong_to_the_publication_cohort_and_the_rest_to_activity() -> None:
    by_method = {(e.compute.method, e.cohort) for e in indicators().values() if e.compute}
    cohort_methods = {"cohort_ratio", "score_index"}
    assert {cohort for method, cohort in by_method if method in cohort_methods} == {"publication_d7"}
    assert {cohort for method, cohort in by_method if method not in cohort_methods} == {"activity"}


def test_a_rate_by_reach_asks_for_a_hundred() -> None:
    assert {e.min_support for e in indicators().values() if e.compute and e.compute.denominator == "reach"} == {100}


def test_satisfaction_asks_for_thirty_answers() -> None:
    assert {key: indicators()[key].min_support for key in ("csat", "nps", "enps")} == {"csat": 30, "nps": 30, "enps": 30}


def test_rates_of_employees_are_never_of_fewer_than_ten() -> None:
    workplace = [e for e in indicators().values() if e.needs == "workplace" and e.additivity == "ratio"]
    assert workplace
    assert {e.key for e in workplace if (e.min_support or 0) < 10} == set()


def test_signed_scales_say_where_they_begin() -> None:
    signed = {e.key: e.scale_min for e in indicators().values() if e.scale_min is not None}
    assert signed == {"nps": -100, "enps": -100, "net_sentiment": -1, "net_sentiment_change": -2}


def test_amplification_is_another_name_for_shares() -> None:
    aliases = {e.key: e.alias_of for e in indicators().values() if e.alias_of}
    assert aliases == {"amplification": "shares"}
    assert not indicators()["amplification"].is_computed


def test_an_alias_measures_the_same_thing_as_its_original() -> None:
    for entry in indicators().values():
        if entry.alias_of:
            original = indicators()[entry.alias_of]
            same = ("unit", "decimals", "direction", "additivity", "cohort", "amec_level", "needs")
            assert [getattr(entry, name) for name in same] == [getattr(original, name) for name in same], entry.key


def test_every_percentile_key_is_a_quantile() -> None:
    percentiles = {e.key: e.additivity for e in indicators().values() if re.search(r"_p\d\d$", e.key)}
    assert percentiles
    assert set(percentiles.values()) == {"quantile"}


def test_a_p90_never_stands_without_its_median() -> None:
    keys = set(indicators())
    assert {key for key in keys if key.endswith("_p90") and key.replace("_p90", "_p50") not in keys} == set()


def test_authorities_link_only_over_https_to_a_host() -> None:
    urls = {source.url for e in indicators().values() for source in e.authority if source.url is not None}
    assert urls
    assert {url for url in urls if urlsplit(url).scheme != "https" or "." not in urlsplit(url).netloc or " " in url} == set()


def test_the_articles_own_evidence_stands_exactly_at_what_it_names() -> None:
    """Tag S means that the article says so: at an indicator that one of its goals names, or at the tagged mentions that it describes."""
    by_article = {e.key for e in indicators().values() if any(source.evidence == "S" for source in e.authority)}
    named = {key for goal in goals().values() if goal.provenance == "article" for key in goal.named}
    assert by_article == named | {"mentions_tagged"}
