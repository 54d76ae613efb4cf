"""Goal 10, internal communication: do staff read, talk and carry the message on?

The article names four terms, one of them a count with its rate, and wants them for inside and outside: they are computed for both scopes.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="internal_communication",
    number=10,
    label_id="Meningkatkan komunikasi internal",
    label_en="Improve internal communication",
    question_id="Apakah pegawai membaca, ikut serta, dan meneruskan pesan lembaga?",
    question_en="Do staff read, take part and carry the message on?",
    amec_level="out-take",
    provenance="article",
    certainty="Certain",
    source="The article; the tail of Hootsuite's list",
    named=(
        "engagement_count",
        "engagement_rate",
        "amplification",
        "link_clicks",
        "bounce_rate",
    ),
    practice=(
        "bounced_sessions",
        "engagement_rate_headcount",
        "employee_adoption_rate",
        "employee_active_rate",
        "employee_share_rate",
        "advocacy_reach",
        "internal_reach_rate",
        "internal_conversation_volume",
        "enps",
    ),
)
