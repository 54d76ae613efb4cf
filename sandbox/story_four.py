"""The story as it is told on Instagram, Facebook, Threads and YouTube: posts of many kinds, comments below them, posts that tag us.

Lives here: who writes what and when. Does not live here: how it is kept (`pen`), Mastodon and X (`story_first`), an account's days (`flows`).
"""

import random
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from sandbox import words
from sandbox.facts import (
    CRISIS_DAYS,
    DAY,
    FACEBOOK,
    FIRST_DAY,
    FOUR,
    INSTAGRAM,
    LAST_DAY,
    QUIET_WEEK,
    RAMADAN,
    THREADS,
    YOUTUBE,
    Account,
    Drop,
    Hidden,
    Person,
    Platform,
    Post,
    PostType,
    Reference,
    Sizes,
    days,
    local_day,
    number_of,
    wib,
)
from sandbox.pen import Pen

# What each platform's posts are, of twenty.
MIXES: Final[Mapping[Platform, Sequence[PostType]]] = {
    "instagram": ("post",) * 9 + ("carousel",) * 5 + ("reel",) * 6,
    "facebook": ("post",) * 13 + ("video",) * 3 + ("reel",) * 4,
    "threads": ("post",) * 17 + ("carousel",) * 3,
    "youtube": ("video",) * 10 + ("short",) * 8 + ("live",) * 2,
}
LENGTHS: Final[Mapping[PostType, tuple[int, int]]] = {"reel": (12, 80), "video": (240, 1_500), "short": (15, 58), "live": (2_400, 7_000)}
FILM_TYPES: Final = frozenset(LENGTHS)
STORIES_PER_DAY: Final = 0.4
# Whatever is said below a post is said within a week: what a nightly look-back of seven days sees.
LAST_COMMENT: Final = 5 * DAY
LAST_ANSWER: Final = 40_000
# Below a comment there is one level of answers; Threads alone has more.
DEEP: Final = frozenset({"threads"})


class FourStory:
    """Everything that is written on the four."""

    def __init__(self, pen: Pen) -> None:
        """Take up the pen; nothing is written yet."""
        self.pen = pen

    def tell(self) -> None:
        """Write our posts and stories, then the planted ones, then what others wrote and our answers."""
        ours: list[Post] = []
        for account in FOUR:
            ours.extend(self._regular_posts(account))
        ours.extend(self._planted_posts())
        self._stories()
        self._facades()
        for post in ours:
            self._comments(post)
        flash = self.pen.planted("flash")
        self._below("planted/flash_comment", flash, flash, self.pen.persons[9].facebook_id, flash.ts + 5_000, words.FOUR_NESTED[0])
        for account in FOUR:
            self._tags(account)

    # -- our posts ----------------------------------------------------------------------------------------------------------------

    def _regular_posts(self, account: Account) -> list[Post]:
        written = []
        for day in days(FIRST_DAY, LAST_DAY):
            if QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            rate = account.posts_per_day * (1.7 if _is_campaign(day) else 1.0)
            for number in range(self.pen.count(rate, account.id, day)):
                key = f"{account.platform}/{day}/{number}"
                chance = self.pen.chance("post", key)
                ts = wib(day, chance.randint(5, 22), chance.randint(0, 59), chance.randint(1, 59))
                written.append(self._post(key, account, ts, chance.choice(MIXES[account.platform])))
        return written

    def _post(self, key: str, account: Account, ts: int, post_type: PostType, text: str = "", **more: object) -> Post:
        """Write one post of ours; without a text it gets one of its kind."""
        chance = self.pen.chance("words", key)
        if not text:
            text = self._text(chance, account, post_type, is_campaign=_is_campaign(local_day(ts)))
        length = LENGTHS.get(post_type)
        factor = 2.0 if _is_campaign(local_day(ts)) else 1.0
        sizes = self._sizes(key, account, post_type, factor * (4.0 if key.startswith("planted") else 1.0))
        return self.pen.write(
            key, account.platform, account.id, "root", ts, text,
            post_type=post_type, seconds=chance.randint(*length) if length else 0, **{"sizes": sizes} | more,
        )  # fmt: skip

    def _text(self, chance: random.Random, account: Account, post_type: PostType, *, is_campaign: bool) -> str:
        if post_type == "live":
            choices: Sequence[str] = words.LIVES
        elif post_type == "story":
            choices = words.STORIES
        elif post_type in FILM_TYPES:
            choices = words.FILMS
        else:
            choices = words.NOTES if account is THREADS else words.STILLS
        text = chance.choice(choices).format(n=chance.randint(2, 97), m=chance.randint(100, 999), place=chance.choice(words.PLACES))
        tags = ["zakat", "ramadan"] if is_campaign else [chance.choice(words.PLAIN_TAGS)] if chance.random() < 0.6 else []
        if not is_campaign and chance.random() < 0.35:
            tags.append(chance.choice(words.FUNDRAISING_TAGS))
        link = [words.LINK.format(slug=f"{chance.getrandbits(28):07x}")] if account is FACEBOOK and chance.random() < 0.4 else []
        return " ".join([text, *link, *(f"#{tag}" for tag in tags)])

    def _sizes(self, key: str, account: Account, post_type: PostType, factor: float) -> Sizes:
        """Return how large one post grows; what the platform does not count stays 0."""
        chance = self.pen.chance("sizes", key)
        size = account.scale * factor * (0.35 + chance.random() ** 3 * 3)
        views = int(size * chance.randint(1_500, 3_000) * (2 if post_type in FILM_TYPES else 1)) + 30
        reach = views * chance.randint(55, 80) // 100
        pace = chance.randint(20_000, 60_000)
        if post_type == "story":
            return Sizes(
                view=views // 4, reach=reach // 4, share=int(size * chance.randint(0, 3)), message=int(size * chance.randint(0, 5)),
                navigation=views // 3, pace=9_000,
            )  # fmt: skip
        likes, shares = int(size * chance.randint(40, 110)), int(size * chance.randint(3, 14))
        if account is INSTAGRAM:
            return Sizes(like=likes, share=shares, save=int(size * chance.randint(2, 15)), view=views, reach=reach, pace=pace)
        if account is FACEBOOK:
            # Of a reel Facebook counts no clicks.
            clicks, photos, others = (0 if post_type == "reel" else int(size * chance.randint(5, most)) for most in (40, 60, 25))
            return Sizes(
                like=likes, share=shares, view=views, reach=reach, link_click=clicks, photo_click=photos, other_click=others, pace=pace
            )  # fmt: skip
        if account is THREADS:
            sends, quotes = (int(size * chance.randint(0, most)) for most in (9, 4))
            return Sizes(like=likes, share=shares, quote=quotes, send=sends, view=views, pace=pace)
        return Sizes(like=likes, view=views, pace=pace)

    # -- stories and reposts ------------------------------------------------------------------------------------------------------

    def _stories(self) -> None:
        """Write the stories, each of which is over after a day; two of the script are never seen by a night.

        `between` is taken down the same evening; `lost_night` is up when the night of 11 March is missed, and over before the next.
        """
        for day in days(FIRST_DAY, LAST_DAY):
            if QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            for number in range(self.pen.count(STORIES_PER_DAY, "story", day)):
                chance = self.pen.chance("story time", day, number)
                self._story(
                    f"instagram/story/{day}/{number}", wib(day, chance.randint(5, 22), chance.randint(0, 59), chance.randint(1, 59))
                )
        self._story("planted/story/seen", wib(date(2026, 1, 6), 9, 15, 20))
        self._story("planted/story/between", wib(date(2026, 1, 8), 8, 5, 10), deleted_ts=wib(date(2026, 1, 8), 20, 40, 3))
        self._story("planted/story/lost_night", wib(date(2026, 3, 10), 9, 30, 15))

    def _story(self, key: str, ts: int, **more: object) -> Post:
        return self._post(key, INSTAGRAM, ts, "story", "", expires_ts=ts + DAY, **more)

    def _facades(self) -> None:
        """Repost others on Threads every twelve days: REPOST_FACADE, of which there are no insights."""
        for number, day in enumerate(days(date(2025, 12, 6), LAST_DAY)):
            if number % 12 or QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            key = "planted/facade" if number == 36 else f"threads/facade/{day}"
            person = self.pen.chance("facade", day).choice(self.pen.persons)
            text = self.pen.chance("facade text", day).choice(words.FOREIGN)
            original = self.pen.write(f"foreign/{key}", "threads", person.threads_id, "foreign", wib(day, 6, 40, 9), text)
            self.pen.write(
                key, "threads", THREADS.id, "repost", wib(day, 12, 41, 8), original.text, reference=Reference("retweeted", original.id)
            )

    # -- the script ---------------------------------------------------------------------------------------------------------------

    def _planted_posts(self) -> list[Post]:
        """Write what stand-ins and tests look for by name: `cross/<platform>`, `hidden_likes`, `split_clicks`, `deleted/<platform>`, `flash` and more."""
        return [*self._cross_posts(), *self._linked_posts(), *self._odd_posts(), *self._gone_posts()]

    def _cross_posts(self) -> list[Post]:
        """One text on four platforms within two hours, told apart by its hashtags alone."""
        types: Mapping[Platform, PostType] = {"instagram": "reel", "facebook": "reel", "threads": "post", "youtube": "short"}
        return [
            self._plant(
                f"cross/{account.platform}", account, wib(date(2026, 1, 13), 10, 7 + 31 * number % 60, 11 + number) + 1_200 * number,
                types[account.platform], f"{words.CROSS_POST} {words.CROSS_TAGS[account.platform]}",
            )
            for number, account in enumerate(FOUR)
        ]  # fmt: skip

    def _linked_posts(self) -> list[Post]:
        """A film, and a post on Threads that links to it in other words."""
        film = self._plant("linked/youtube", YOUTUBE, wib(date(2026, 2, 11), 15, 20, 6), "video", words.REPORT_FILM)
        text = words.LINKED.format(id=film.id)
        return [film, self._plant("linked/threads", THREADS, wib(date(2026, 2, 11), 17, 5, 9), "post", text)]

    def _odd_posts(self) -> list[Post]:
        hidden_ts, unliked_ts = wib(date(2026, 1, 27), 16, 3, 5), wib(date(2026, 1, 19), 9, 12, 5)
        hidden = (Hidden("like", hidden_ts + 2 * DAY, hidden_ts + 4 * DAY),)
        drop = Drop(unliked_ts + 4 * DAY + 11_000, 45)
        month_end = date(2026, 1, 31)
        return [
            self._plant("hidden_likes", INSTAGRAM, hidden_ts, "reel", words.HIDDEN_LIKES, hidden=hidden),
            self._plant("hidden_likes_film", YOUTUBE, hidden_ts + 1_020, "video", words.HIDDEN_LIKES_FILM, hidden=hidden),
            self._plant("split_clicks", FACEBOOK, wib(date(2026, 2, 3), 11, 14, 8), "post", words.SPLIT_CLICKS),
            self._plant("unliked/instagram", INSTAGRAM, unliked_ts, "carousel", f"{words.UNLIKED} #sedekah", drops=(drop,)),
            self._plant("facebook_reel", FACEBOOK, wib(date(2026, 1, 9), 18, 22, 4), "reel"),
            self._plant("live", YOUTUBE, wib(date(2026, 2, 20), 20, 0, 7), "live"),
            self._plant("short", YOUTUBE, wib(date(2026, 1, 8), 12, 9, 33), "short"),
            *(self._plant(f"late/{account.platform}", account, wib(month_end, 23, 40, 12), MIXES[account.platform][0]) for account in FOUR),
        ]

    def _gone_posts(self) -> list[Post]:
        """Posts that are deleted: on the third day, a film on the tenth, and one that no night ever saw."""
        return [
            self._plant(
                "deleted/instagram", INSTAGRAM, wib(date(2026, 1, 5), 10, 3, 7), "post", deleted_ts=wib(date(2026, 1, 7), 21, 10, 2)
            ),
            self._plant("deleted/youtube", YOUTUBE, wib(date(2026, 1, 3), 13, 5, 9), "video", deleted_ts=wib(date(2026, 1, 10), 16, 30, 4)),
            self._plant(
                "flash", FACEBOOK, wib(date(2026, 1, 6), 10, 4, 9), "post", f"{words.FLASH} #kabarcahaya",
                deleted_ts=wib(date(2026, 1, 6), 19, 50, 1),
            ),
        ]  # fmt: skip

    def _plant(self, name: str, account: Account, ts: int, post_type: PostType, text: str = "", **more: object) -> Post:
        return self._post(f"planted/{name}", account, ts, post_type, text, **more)

    # -- what others write --------------------------------------------------------------------------------------------------------

    def _comments(self, post: Post) -> None:
        account = self.pen.account(post.author_id)
        factor = 2.0 if _is_campaign(local_day(post.ts)) else 1.0
        for number in range(self.pen.count(account.comments_per_post * factor, "comments", post.key)):
            key = f"comment/{post.key}/{number}"
            chance = self.pen.chance("comment", key)
            ts = post.ts + min(int(60 + 60_000 * chance.expovariate(1.0)), LAST_COMMENT)
            person = self.pen.staff[account.platform] if chance.random() < 0.03 else chance.choice(self.pen.persons)
            comment = self._below(key, post, post, person.id_on(account.platform), ts, *self._comment_text(chance, person))
            if comment is not None:
                self._answers(chance, post, comment)

    def _below(  # noqa: PLR0913 what every answer has
        self,
        key: str,
        post: Post,
        answered: Post,
        author_id: str,
        ts: int,
        text: str,
        is_spam: bool = False,  # noqa: FBT001, FBT002 one of a pair
    ) -> Post | None:
        """Write a comment or an answer below a post of ours; with the post it is gone, so after its end there is none."""
        if ts >= post.gone_ts:
            return None
        return self.pen.write(
            key, post.platform, author_id, "reply" if self.pen.is_own(author_id) else "comment", ts, text,
            conversation_id=post.id, reply_to_id=answered.id, reply_to_author=answered.author_id, root_id=post.id, deleted_ts=post.deleted_ts,
            is_spam=is_spam, sizes=Sizes(like=number_of(key) % 5),
        )  # fmt: skip

    def _comment_text(self, chance: random.Random, person: Person) -> tuple[str, bool]:
        draw = chance.random()
        if draw < 0.05:
            return chance.choice(words.SPAM).format(n=chance.randint(10, 99)), True
        if draw < 0.17:
            return chance.choice(words.EMOJI), False
        if draw < 0.45:
            return chance.choice(words.QUESTIONS).format(phone=person.phone, email=person.email), False
        return chance.choice(words.FOUR_PRAISE), False

    def _answers(self, chance: random.Random, post: Post, comment: Post) -> None:
        """Answer some of the questions ourselves, let others join in, and a few thank us."""
        draw, later = chance.random(), comment.ts + chance.randint(900, LAST_ANSWER)
        if comment.is_spam:
            return
        if draw < 0.15:
            person = chance.choice(self.pen.persons)
            text = chance.choice(words.FOUR_NESTED)
            named = self.pen.handle_of(post.platform, comment.author_id)
            self._below(f"nested/{comment.key}", post, comment, person.id_on(post.platform), later + 1, f"@{named} {text}")
        if "?" not in comment.text or draw > 0.5 or QUIET_WEEK[0] <= local_day(later) <= QUIET_WEEK[1]:
            return
        ours = self._below(f"reply/{comment.key}", post, comment, post.author_id, later, chance.choice(words.FOUR_REPLIES))
        if ours is not None and chance.random() < 0.3:
            answered = ours if post.platform in DEEP else comment
            thanks = chance.choice(words.FOUR_PRAISE)
            self._below(f"thanks/{comment.key}", post, answered, comment.author_id, ours.ts + chance.randint(600, 9_000), thanks)

    def _tags(self, account: Account) -> None:
        """Posts by others that tag us; YouTube has no list of such."""
        for day in days(FIRST_DAY, LAST_DAY):
            rate = account.mentions_per_day + (2.0 if account.mentions_per_day and day in CRISIS_DAYS else 0.0)
            for number in range(self.pen.count(rate, "tags", account.id, day)):
                key = f"tag/{account.platform}/{day}/{number}"
                chance = self.pen.chance(key)
                person = self.pen.staff[account.platform] if chance.random() < 0.04 else chance.choice(self.pen.persons)
                ts = wib(day, chance.randint(0, 23), chance.randint(0, 59), chance.randint(1, 59))
                is_spam = chance.random() < 0.05
                templates = words.CRISIS if day in CRISIS_DAYS else words.TAGGED
                text = chance.choice(templates).format(account=account.handle)
                if is_spam:
                    text = f"@{account.handle} {chance.choice(words.SPAM).format(n=chance.randint(10, 99))}"
                self.pen.write(
                    key, account.platform, person.id_on(account.platform), "mention", ts, text, is_spam=is_spam,
                    sizes=Sizes(like=number_of(key) % 7, view=number_of(key) % 300),
                )  # fmt: skip


def _is_campaign(day: date) -> bool:
    return RAMADAN[0] <= day <= RAMADAN[1]
