"""Goal 8, recruitment: do job posts bring people who apply and are hired?

The article names one measure, in prose: "metriks konversi", taken as the conversion at each step of the funnel.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="recruitment",
    number=8,
    label_id="Perekrutan",
    label_en="Recruitment",
    question_id="Apakah pos lowongan mendatangkan pelamar yang akhirnya direkrut?",
    question_en="Do job posts bring people who apply and are hired?",
    amec_level="outcome",
    provenance="article",
    certainty="Certain",
    source='The article; in Hootsuite\'s list as "attract job applicants" (33%)',
    named=("apply_conversion_rate",),
    practice=(
        "job_post_reach",
        "apply_click_rate",
        "application_start_rate",
        "application_completion_rate",
        "qualified_rate",
        "interview_rate",
        "offer_rate",
        "offer_acceptance_rate",
        "overall_hire_rate",
        "source_of_hire_share",
        "unknown_source_share",
        "cost_per_hire",
        "cost_per_application",
        "time_to_fill_p50",
        "time_to_hire_p50",
    ),
)
