"""Goal 1, brand awareness: do more people come to see the institution and to speak of it?

The first article's text was not found; its core indicators are reconstructed from what such goals are judged by.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="brand_awareness",
    number=1,
    label_id="Meningkatkan kesadaran merek",
    label_en="Increase brand awareness",
    question_id="Apakah makin banyak orang melihat, mengenal, dan menyebut lembaga?",
    question_en="Do more people see, know and mention the institution?",
    amec_level="output / out-take",
    provenance="reconstructed",
    certainty="High (~90%), inferred",
    source="First in Hootsuite's list, Social Media Barometer 2018 (92% of APAC organisations); the first article's text was not found",
    named=(
        "reach",
        "views",
        "impressions",
        "audience_growth_rate",
        "mentions",
        "share_of_voice",
    ),
    practice=(
        "reach_lower",
        "reach_upper",
        "frequency",
        "followers",
        "net_new_followers",
        "mentions_tagged",
        "mentions_untagged",
        "net_sentiment",
        "amplification_rate",
        "virality_rate",
        "video_completion_rate",
        "follower_reach_share",
        "branded_search",
        "ad_recall",
    ),
)
