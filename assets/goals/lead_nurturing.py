"""Goal 6, lead nurturing: does social media bring prospects, and do they come closer?

The first article's text was not found; its core indicators are reconstructed from what such goals are judged by.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="lead_nurturing",
    number=6,
    label_id="Mengidentifikasi dan memelihara prospek",
    label_en="Identify and nurture leads",
    question_id="Apakah media sosial mendatangkan prospek, dan apakah mereka makin dekat?",
    question_en="Does social media bring prospects, and do they come closer?",
    amec_level="outcome",
    provenance="reconstructed",
    certainty="Likely (~80%)",
    source="Hootsuite's list, the only item left for the free place; HubSpot's retelling puts it mid-list",
    named=(
        "leads",
        "lead_conversion_rate",
        "link_clicks",
        "bounce_rate",
    ),
    practice=(
        "bounced_sessions",
        "mql_rate",
        "cost_per_lead",
        "lead_response_time_p50",
        "lead_response_time_p90",
        "lead_to_customer_rate",
    ),
)
