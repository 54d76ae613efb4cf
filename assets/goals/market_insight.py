"""Goal 5, market insight: what does the public care about, and who is it?

The first article's text was not found; its core indicators are reconstructed from what such goals are judged by.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="market_insight",
    number=5,
    label_id="Memperoleh wawasan konsumen dan pasar",
    label_en="Gain customer and market insights",
    question_id="Apa yang dipedulikan khalayak, dan siapa mereka?",
    question_en="What does the public care about, and who is it?",
    amec_level="out-take",
    provenance="reconstructed",
    certainty="High that it belongs (~85%); place 5 vs 6 ~75%",
    source="Fifth in Hootsuite's list (56%)",
    named=(
        "conversation_volume",
        "net_sentiment",
        "audience_demographics",
    ),
    practice=(
        "unclassified_share",
        "topic_growth",
        "question_share",
        "competitor_share_of_voice",
        "survey_responses",
    ),
)
