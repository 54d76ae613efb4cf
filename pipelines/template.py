"""The institution's file as `tolok init` writes it: commented, in Bahasa Indonesia and English, ready to be edited.

Not here: what the keys mean to the program (settings.py).
"""

from __future__ import annotations

from assets.goals import goals


def institution_template(institution_id: str) -> str:
    """A file that loads as it is: one Mastodon account that does not exist, two goals."""
    listed = "\n".join(f"#   {goal.key:<24} {goal.label_id}" for goal in goals().values())
    return f"""#:schema ./institution.schema.json
# Pengaturan lembaga. Rahasia (token, kunci) TIDAK ditulis di sini; semuanya dari environment.
# Settings of the institution. Secrets (tokens, keys) are NOT written here; they come from the environment:
#   TOLOK_HMAC_KEY                      kunci penyamar identitas orang / key that hides people's ids (or ..._FILE)
#   TOLOK_{institution_id.upper()}_<PLATFORM>_TOKEN   token per platform (or ..._TOKEN_FILE)

name = "Nama Lembaga"          # nama lembaga / name
language = "id"                # bahasa rapor: id | en
zone = "WIB"                   # WIB | WITA | WIT, atau nama IANA / or an IANA name
fiscal_year_start = "01-01"    # awal tahun buku, BB-HH / first day of the fiscal year, MM-DD
history_days = 30              # seberapa jauh ke belakang pada malam pertama / how far back the first night asks
keywords = []                  # kata kunci / keywords, e.g. ["zakat", "sedekah"]

# Alamat server Mastodon lembaga; X tidak perlu / the address of the Mastodon server; X needs none
[platforms.mastodon]
base_url = "https://mastodon.example"

# Batas per hari / bounds of a day (X menagih per rekaman / X bills per record)
# [platforms.x]
# max_cost_usd_per_day = 5     # bawaan / default: 5
# max_requests_per_day = 400     # bawaan: tanpa batas / default: none

# Akun milik lembaga: id angka dari platform, bukan nama / the platform's own id of the account, not the name
[[accounts]]
platform = "mastodon"
id = "1"
handle = "lembaga"

# [[accounts]]
# platform = "x"
# id = "2200000000000000001"
# handle = "lembaga"
# private_metrics = true       # token milik akun ini sendiri: klik tautan terbaca / the token is the account's own: link clicks are read

# [[accounts]]                  # instagram, facebook, threads, youtube: docs/platforms/<platform>.md
# platform = "instagram"
# id = "17841400000000001"
# handle = "lembaga"

# Akun karyawan yang setuju dihitung (tidak pernah ditampilkan sendiri) / employees who agreed to be counted (never shown alone)
# [[staff]]
# platform = "mastodon"
# id = "2"
# consent = 2026-01-01

# Pesaing untuk pangsa perbincangan / competitors for share of voice
# [[competitors]]
# name = "Lembaga Lain"
# keywords = ["lembaga lain"]

# Tujuan yang dikejar / the goals that are pursued. Pilihan / choices:
{listed}
[goals.community_engagement]

[goals.fundraising]
# accounts = ["mastodon/1"]                       # hanya akun ini / these accounts alone
# posts.hashtags = ["zakat", "sedekah", "wakaf"]   # hanya pos dengan tagar ini / posts with these hashtags alone

# Sasaran / targets. value: dalam satuan indikator (pecahan 0.02 = 2 %) / in the indicator's unit
[[targets]]
goal = "community_engagement"
indicator = "audience_growth_rate"
period = "month"               # week | month | trailing_28d
value = 0.02
# type = "absolute"            # absolute | growth (dibanding periode lalu) | benchmark (kali median sendiri)
valid_from = 2026-01-01
"""
