"""The simulated institution's own settings file. Lives here: its text. Does not live here: how it is read (the settings room)."""

from collections.abc import Mapping, Sequence
from typing import Final

from sandbox.facts import ACCOUNTS, FIRST_PLATFORMS, FUNDRAISING, Platform
from sandbox.world import World

MORE_OF_A_PLATFORM: Final[Mapping[Platform, str]] = {
    "x": 'fields_parameter = "post.fields"\n',
    "youtube": 'analytics_base_url = "{url}/youtube_analytics"\n',
}


def settings_toml(url: str, seed: int = 7, platforms: Sequence[Platform] = FIRST_PLATFORMS) -> str:
    """Return the settings of `cahaya`, with its platforms at the sandbox under `url`; the staff are those of the seed's world."""
    staff = World(seed).staff
    sections = "\n".join(
        f'[platforms.{platform}]\nbase_url = "{{url}}/{platform}"\n{MORE_OF_A_PLATFORM.get(platform, "")}' for platform in platforms
    ).replace("{url}", url.rstrip("/"))
    accounts = "\n".join(
        f'[[accounts]]\nplatform = "{account.platform}"\nid = "{account.id}"\nhandle = "{account.handle}"\n'
        + ("private_metrics = true\n" if account.platform == "x" else "")
        for account in ACCOUNTS
        if account.platform in platforms
    )
    opted_in = "\n".join(
        f'[[staff]]\nplatform = "{platform}"\nid = "{person.id_on(platform)}"\nconsent = 2026-01-01\n'
        for platform, person in staff.items()
        if platform in platforms
    )
    serving = ", ".join(f'"{account.platform}/{account.id}"' for account in FUNDRAISING if account.platform in platforms)
    return f"{HEAD}\n{sections}\n{accounts}\n{opted_in}\n{GOALS.replace('{fundraising}', serving)}"


HEAD = """\
name = "Lembaga Amil Zakat Cahaya"
language = "id"
zone = "Asia/Jakarta"
fiscal_year_start = "01-01"
keywords = ["zakat", "sedekah"]
"""

GOALS = """\
[goals.community_engagement]

[goals.fundraising]
accounts = [{fundraising}]
posts.hashtags = ["zakat", "sedekah", "wakaf", "donasi"]

[[targets]]
goal = "fundraising"
indicator = "audience_growth_rate"
period = "month"
value = 0.02
valid_from = 2026-01-01

[[targets]]
goal = "fundraising"
indicator = "mentions"
period = "month"
value = 120
valid_from = 2026-01-01

[[targets]]
goal = "fundraising"
indicator = "mentions"
period = "month"
value = 150
valid_from = 2026-03-01

[[targets]]
goal = "fundraising"
indicator = "engagement_count"
period = "month"
type = "growth"
value = 0.05
valid_from = 2026-01-01

[[targets]]
goal = "community_engagement"
indicator = "conversation_volume"
period = "week"
value = 60
valid_from = 2026-01-01

[[targets]]
goal = "community_engagement"
indicator = "comment_score"
period = "month"
value = 0.5
valid_from = 2026-01-01
"""
