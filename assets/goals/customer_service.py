"""Goal 7, customer service: are people who ask helped well and in time?

The article names one measure, in prose: "angka kepuasan konsumen".
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="customer_service",
    number=7,
    label_id="Pelayanan/dukungan konsumen",
    label_en="Customer service and support",
    question_id="Apakah yang bertanya dilayani dengan baik dan tepat waktu?",
    question_en="Are people who ask helped well and in time?",
    amec_level="outcome",
    provenance="article",
    certainty="Certain",
    source="The article; in Hootsuite's list (49%)",
    named=("csat",),
    practice=(
        "first_response_time_p50",
        "first_response_time_p90",
        "first_response_time_business_p50",
        "first_response_time_business_p90",
        "response_rate",
        "sla_attainment",
        "resolution_time_p50",
        "resolution_time_p90",
        "first_contact_resolution",
        "resolution_rate",
        "reopen_rate",
        "nps",
        "ces",
        "ikm_skm",
        "case_volume",
        "survey_response_rate",
    ),
)
