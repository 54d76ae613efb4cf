"""Goal 2, brand reputation: is the institution spoken well of?

The first article's text was not found; its core indicators are reconstructed from what such goals are judged by.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="brand_reputation",
    number=2,
    label_id="Mengelola reputasi merek",
    label_en="Manage brand reputation",
    question_id="Apakah orang membicarakan lembaga dengan baik?",
    question_en="Do people speak well of the institution?",
    amec_level="out-take",
    provenance="reconstructed",
    certainty="High (~90%), inferred",
    source="Second in Hootsuite's list (78%); the article calls reputation an effect of goals 9 and 10",
    named=(
        "net_sentiment",
        "negative_share",
        "mentions",
        "share_of_voice",
    ),
    practice=(
        "unclassified_share",
        "mentions_tagged",
        "mentions_untagged",
        "rating_avg",
        "response_rate",
        "nps",
        "key_message_share",
    ),
)
