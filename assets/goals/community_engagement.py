"""Goal 3, community engagement: does a community grow that takes part?

The author's earlier article names seven terms, one of them a count with its rate; the list is complete.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="community_engagement",
    number=3,
    label_id="Membangun dan memenej keikutsertaan komunitas",
    label_en="Build and manage an engaged community",
    question_id="Apakah komunitas tumbuh dan sungguh ikut serta?",
    question_en="Does the community grow, and does it really take part?",
    amec_level="out-take",
    provenance="earlier_article",
    certainty="Certain",
    source='INAnews, March 2023, "Ketiga ..."; third in Hootsuite\'s list (78%)',
    named=(
        "audience_growth_rate",
        "engagement_count",
        "engagement_rate",
        "amplification_rate",
        "link_clicks",
        "bounce_rate",
        "conversation_volume",
        "comment_score",
    ),
    practice=(
        "engagement_rate_views",
        "engagement_rate_followers",
        "applause_rate",
        "conversation_rate",
        "comment_score_index",
        "net_new_followers",
        "followers",
        "bounced_sessions",
        "amplification",
        "posts",
        "reactions",
        "comments_audience",
        "saves",
        "net_sentiment",
        "active_audience_rate",
        "returning_engager_rate",
        "ugc_count",
        "reply_rate_by_institution",
        "unfollows",
        "comment_quality_score",
    ),
)
