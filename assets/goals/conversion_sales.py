"""Goal 4, conversion sales: do visitors take the next step, and do they buy?

The author's earlier article names conversation, clicks and bounce rate before the stored text breaks off, and keeps conversion
and sales apart.
"""

from assets.goals.goal import Goal

GOAL = Goal(
    key="conversion_sales",
    number=4,
    label_id="Meningkatkan konversi atau penjualan",
    label_en="Increase conversions / sales",
    question_id="Apakah pengunjung mengambil langkah berikutnya, dan apakah mereka membeli?",
    question_en="Do visitors take the next step, and do they buy?",
    amec_level="outcome",
    provenance="earlier_article",
    certainty="Certain",
    source='INAnews, March 2023, "Keempat ..." (the stored list is cut off after item 3); fourth in Hootsuite\'s list (66%)',
    named=(
        "conversation_volume",
        "link_clicks",
        "bounce_rate",
    ),
    practice=(
        "conversation_rate",
        "net_sentiment",
        "bounced_sessions",
        "unique_clickers",
        "ctr",
        "sessions_from_social",
        "engaged_sessions",
        "click_to_session_ratio",
        "conversions",
        "conversion_rate",
        "unattributed_share",
        "sales_value",
        "cost_per_conversion",
        "roas",
    ),
)
