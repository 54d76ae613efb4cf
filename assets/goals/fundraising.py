"""Goal 11, fundraising: does social media bring an audience that gives?

The article names eight terms, one of them a count with its rate and none of them money; the money is what practitioners add.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="fundraising",
    number=11,
    label_id="Saluran donasi (zakat, wakaf, sedekah, hibah)",
    label_en="Donation channel / fundraising",
    question_id="Apakah media sosial mendatangkan khalayak yang berdonasi?",
    question_en="Does social media bring an audience that gives?",
    amec_level="output / out-take (article's list); outcome / impact (money)",
    provenance="article",
    certainty="Certain",
    source="The article; not in Hootsuite's list, added by Nasrullah / Saktisyahputra for Indonesian nonprofits",
    named=(
        "audience_growth_rate",
        "engagement_count",
        "engagement_rate",
        "link_clicks",
        "conversation_volume",
        "comment_score",
        "mentions",
        "shares",
        "reach",
    ),
    practice=(
        "conversation_rate",
        "comment_score_index",
        "engagement_rate_views",
        "engagement_rate_followers",
        "net_new_followers",
        "reach_lower",
        "reach_upper",
        "net_sentiment",
        "conversion_rate",
        "donation_amount",
        "donations",
        "donors",
        "donation_conversion_rate",
        "donor_conversion_rate",
        "average_gift",
        "median_gift",
        "donor_retention_rate",
        "new_donor_share",
        "recurring_share",
        "recaptured_donors",
        "form_abandonment_rate",
        "cost_to_raise_1_rupiah",
        "attributed_amount_share",
    ),
)
