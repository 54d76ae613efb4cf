"""Goal 9, crisis communication: is a crisis noticed early and handled well?

The article names no indicator here, so every one is what practitioners add; only the handling is ever judged, never the volume.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="crisis_communication",
    number=9,
    label_id="Mengidentifikasi krisis dan mengelola komunikasi",
    label_en="Identify crises and manage communication",
    question_id="Apakah krisis cepat dikenali dan ditangani dengan baik?",
    question_en="Is a crisis noticed early and handled well?",
    amec_level="out-take / outcome",
    provenance="article",
    certainty="Certain",
    source="The article, in prose only; in Hootsuite's list word for word (25%)",
    named=(),
    practice=(
        "volume_anomaly_z",
        "volume_ratio",
        "velocity",
        "negative_share",
        "net_sentiment",
        "negative_reach",
        "share_of_voice",
        "negative_sov",
        "crisis_level_proposed",
        "crisis_level",
        "time_to_detect",
        "time_to_acknowledge",
        "time_to_first_public_response",
        "response_coverage",
        "peak_volume",
        "time_to_peak",
        "half_life",
        "recovery_time",
        "net_sentiment_change",
        "follower_loss",
        "share_of_crisis",
        "alert_precision",
        "missed_episodes",
    ),
)
