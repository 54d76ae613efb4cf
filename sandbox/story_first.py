"""The story as it is told on Mastodon and X: our posts, what others wrote, our answers to them.

Lives here: who writes what and when. Does not live here: how it is kept (`pen`), and the other four platforms (`story_four`).
"""

import random
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property

from sandbox import words
from sandbox.facts import (
    CRISIS_DAYS,
    DAY,
    FIRST_ACCOUNTS,
    FIRST_DAY,
    GIVEAWAY_DAY,
    LAST_DAY,
    MASTODON,
    NEVER,
    QUIET_WEEK,
    RAMADAN,
    X_MAIN,
    X_PROGRAM,
    Account,
    Drop,
    Kind,
    Person,
    Platform,
    Post,
    Reference,
    Sizes,
    days,
    local_day,
    number_of,
    wib,
)
from sandbox.pen import Pen


class FirstStory:
    """Everything that is written on Mastodon and X."""

    def __init__(self, pen: Pen) -> None:
        """Take up the pen; nothing is written yet."""
        self.pen = pen

    def tell(self) -> None:
        """Write our posts, then what others wrote, then our answers to them."""
        for account in FIRST_ACCOUNTS:
            self._regular_posts(account)
        self._planted_posts()
        self._reposts_and_quotes()
        for post in [post for post in self.pen.posts() if post.kind in ("root", "part")]:
            self._comments(post)
        self._giveaway_comments()
        for account in FIRST_ACCOUNTS:
            self._mentions(account)
        self._planted_items()
        for item in [post for post in self.pen.posts() if post.kind == "comment"]:
            self._answer(item)

    # -- our posts ----------------------------------------------------------------------------------------------------------------

    def _sizes(self, key: str, account: Account, factor: float) -> Sizes:
        """Return how large one post grows: a long-tailed multiple of the account's usual."""
        chance = self.pen.chance("sizes", key)
        size = account.scale * factor * (0.35 + chance.random() ** 3 * 3)
        likes = int(size * chance.randint(40, 80))
        if account.platform == "mastodon":
            return Sizes(like=likes, share=likes // 3, quote=likes // 12, pace=chance.randint(20_000, 60_000))
        return Sizes(
            like=likes,
            share=int(size * chance.randint(6, 16)),
            quote=int(size * chance.randint(0, 4)),
            save=int(size * chance.randint(1, 8)),
            impression=int(size * chance.randint(2_500, 5_500)) + 40,
            link_click=int(size * chance.randint(5, 40)),
            profile_click=int(size * chance.randint(2, 15)),
            pace=chance.randint(20_000, 60_000),
        )

    def _regular_posts(self, account: Account) -> None:
        for day in days(FIRST_DAY, LAST_DAY):
            is_campaign = RAMADAN[0] <= day <= RAMADAN[1]
            if QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            rate = account.posts_per_day * (1.7 if is_campaign else 1.0)
            for number in range(self.pen.count(rate, account.id, day)):
                self._regular_post(account, day, number, is_campaign=is_campaign)

    def _regular_post(self, account: Account, day: date, number: int, *, is_campaign: bool) -> None:
        key = f"{account.handle}/{day}/{number}"
        chance = self.pen.chance("post", key)
        ts = wib(day, chance.randint(5, 22), chance.randint(0, 59), chance.randint(1, 59))
        parts = [chance.choice(words.CAMPAIGN_POSTS if is_campaign else words.POSTS)]
        if chance.random() < 0.5:
            parts.append(words.LINK.format(slug=f"{number_of(key):x}"[:7]))
        parts.extend(f"#{tag}" for tag in self._tags(chance, is_campaign=is_campaign))
        sizes = self._sizes(key, account, 2.0 if is_campaign else 1.0)
        self.pen.write(key, account.platform, account.id, "root", ts, " ".join(parts), sizes=sizes)

    def _tags(self, chance: random.Random, *, is_campaign: bool) -> list[str]:
        if is_campaign:
            return ["zakat", "ramadan"] if chance.random() < 0.8 else ["ramadan"]
        tags = [chance.choice(words.PLAIN_TAGS)] if chance.random() < 0.6 else []
        if chance.random() < 0.4:
            tag = chance.choice(words.FUNDRAISING_TAGS)
            tags.append(tag.capitalize() if chance.random() < 0.2 else tag)
        return tags

    def _plant(self, key: str, account: Account, ts: int, text: str, factor: float = 1.0, **more: object) -> Post:
        """Write one post of the script, large enough to be seen."""
        sizes = Sizes(*(value + 1 for value in self._sizes(key, account, factor)))
        return self.pen.write(f"planted/{key}", account.platform, account.id, "root", ts, text, sizes=sizes, **more)

    def _planted_posts(self) -> None:
        january, march = date(2026, 1, 1), date(2026, 3, 1)
        for account, day in ((X_MAIN, date(2026, 1, 20)), (MASTODON, date(2026, 1, 21))):
            ts = wib(day, 9, 12, 5)
            drop = Drop(ts + 4 * DAY + 11_000, 40 if account is X_MAIN else 25)
            self._plant(f"unliked/{account.handle}", account, ts, f"{words.UNLIKED} #sedekah", 4.0, drops=(drop,))
        for account, month, first in ((X_MAIN, january, 26), (MASTODON, march, 2)):
            early, late = month.replace(day=first), month.replace(day=first + 1)
            young, old = wib(early + timedelta(days=3), 15), wib(late + timedelta(days=15), 15)
            self._plant(f"deleted_young/{account.handle}", account, wib(early, 10, 3, 7), f"{words.DELETED} #zakat", deleted_ts=young)
            self._plant(f"deleted_old/{account.handle}", account, wib(late, 10, 4, 9), words.DELETED, deleted_ts=old)
        self._thread("x", X_MAIN, wib(date(2026, 3, 6), 10, 1, 3))
        self._thread("mastodon", MASTODON, wib(date(2026, 3, 7), 10, 2, 4))
        self._plant("giveaway", X_MAIN, wib(GIVEAWAY_DAY, 19, 0, 1), f"{words.GIVEAWAY} #kabarcahaya", 5.0)
        self._edited()
        for account in FIRST_ACCOUNTS:
            self._plant(f"late/{account.handle}", account, wib(date(2026, 1, 31), 23, 30, 11), f"{words.POSTS[6]} #donasi")
            self._plant(f"early/{account.handle}", account, wib(date(2026, 2, 2), 0, 30, 12), f"{words.POSTS[6]} #wakaf")
        self._plant("sister", X_MAIN, wib(date(2026, 1, 15), 11, 7, 8), words.SISTER_POST.format(account=X_PROGRAM.handle))

    def _thread(self, name: str, account: Account, ts: int) -> None:
        root = self._plant(f"thread/{name}/1", account, ts, f"{words.THREAD[0]} #zakat", 2.0)
        before = root
        for number, text in enumerate(words.THREAD[1:], start=2):
            key = f"planted/thread/{name}/{number}"
            before = self.pen.write(
                key, account.platform, account.id, "part", ts + (number - 1) * 120, text,
                conversation_id=root.id, reply_to_id=before.id, reply_to_author=account.id, root_id=root.id,
                sizes=self._sizes(key, account, 1.0),
            )  # fmt: skip

    def _edited(self) -> None:
        """X allows an edit within 30 minutes, so only a post shortly before the night is seen in both wordings."""
        day = date(2026, 2, 24)
        post = self._plant("edited", X_MAIN, wib(day, 1, 45, 2), f"{words.EDITED[0]} #ramadan #zakat", 3.0)
        edited_ts = wib(day, 2, 10, 3)
        second = self.pen.version("planted/edited/2", "x", X_MAIN.id, "root", edited_ts, f"{words.EDITED[1]} #ramadan #zakat")
        self.pen.keep(replace(post, versions=(*post.versions, second)))

    def _reposts_and_quotes(self) -> None:
        for number, day in enumerate(days(date(2025, 12, 5), LAST_DAY)):
            if number % 6 or QUIET_WEEK[0] <= day <= QUIET_WEEK[1]:
                continue
            self._repost(X_MAIN if number % 12 else X_PROGRAM, day, f"{number}")
            if number % 24 == 0:
                self._repost(MASTODON, day, f"m{number}")
        self._repost_of_sister(date(2026, 2, 10))
        for day in (date(2026, 1, 12), date(2026, 3, 24)):
            self._own_quote(day)

    def _foreign(self, platform: Platform, key: str, ts: int, *, tag: str = "") -> Post:
        """Write a post of somebody else that does not speak of us."""
        person = self.pen.chance("foreign", key).choice(self.pen.persons)
        text = f"{self.pen.chance('foreign text', key).choice(words.FOREIGN)}{tag}"
        sizes = self._sizes(key, X_MAIN if platform == "x" else MASTODON, 6.0)
        return self.pen.write(f"foreign/{key}", platform, person.id_on(platform), "foreign", ts, text, sizes=sizes)

    def _repost(self, account: Account, day: date, key: str) -> None:
        original = self._foreign(account.platform, f"repost/{key}", wib(day, 6, 20, 9), tag=" #zakat")
        self._reshare_ours(account, f"repost/{key}", wib(day, 12, 21, 8), original)

    def _repost_of_sister(self, day: date) -> None:
        original = next(
            post for post in self.pen.posts() if post.author_id == X_PROGRAM.id and local_day(post.ts) >= day - timedelta(days=3)
        )
        self._reshare_ours(X_MAIN, "repost/sister", original.ts + 9_000, original)

    def _reshare_ours(self, account: Account, key: str, ts: int, original: Post) -> None:
        handle = self.pen.handle_of(account.platform, original.author_id)
        self.pen.write(
            key, account.platform, account.id, "repost", ts, f"RT @{handle}: {original.text}",
            reference=Reference("retweeted", original.id),
        )  # fmt: skip

    def _own_quote(self, day: date) -> None:
        original = self._foreign("x", f"quoted/{day}", wib(day, 7, 1, 1))
        post = self._plant(f"own_quote/{day}", X_MAIN, wib(day, 9, 31, 1), f"{words.OWN_QUOTE} #sedekah")
        self.pen.keep(replace(post, reference=Reference("quoted", original.id)))

    # -- what others write --------------------------------------------------------------------------------------------------------

    def _comments(self, post: Post) -> None:
        account = self.pen.account(post.author_id)
        factor = 2.0 if RAMADAN[0] <= local_day(post.ts) <= RAMADAN[1] else 1.0
        for number in range(self.pen.count(account.comments_per_post * factor, "comments", post.key)):
            key = f"comment/{post.key}/{number}"
            delay = int(60 + 80_000 * self.pen.chance("delay", key).expovariate(1.0))
            ts = post.versions[-1].ts + min(delay, 10 * DAY)
            if ts < post.deleted_ts:
                self._comment(key, account, post, ts)

    def _comment(self, key: str, account: Account, post: Post, ts: int, text: str | None = None) -> Post:
        """Write an answer to a post of ours; the platforms put the answered handle before it."""
        chance = self.pen.chance("comment", key)
        person = self.pen.staff[account.platform] if chance.random() < 0.03 else chance.choice(self.pen.persons)
        body, is_spam = (text, False) if text else self._comment_text(chance, person)
        return self.pen.write(
            key, account.platform, person.id_on(account.platform), "comment", ts, f"@{account.handle} {body}",
            conversation_id=post.conversation_id, reply_to_id=post.versions[-1].id, reply_to_author=account.id,
            root_id=post.root_id, is_spam=is_spam, sizes=Sizes(like=chance.randint(0, 4), impression=chance.randint(5, 200)),
        )  # fmt: skip

    def _comment_text(self, chance: random.Random, person: Person) -> tuple[str, bool]:
        draw = chance.random()
        if draw < 0.05:
            return chance.choice(words.SPAM).format(n=chance.randint(10, 99)), True
        if draw < 0.17:
            return chance.choice(words.EMOJI), False
        if draw < 0.45:
            return chance.choice(words.QUESTIONS).format(phone=person.phone, email=person.email), False
        return chance.choice(words.PRAISE), False

    def _giveaway_comments(self) -> None:
        post = self.pen.planted("giveaway")
        for number in range(160):
            key = f"giveaway/{number}"
            chance = self.pen.chance(key)
            a, b, c = (person.handle for person in chance.sample(self.pen.persons, 3))
            delay = int(30 + 20_000 * chance.expovariate(1.0))
            self._comment(key, X_MAIN, post, post.ts + min(delay, 2 * DAY), words.GIVEAWAY_COMMENT.format(a=a, b=b, c=c))

    def _mentions(self, account: Account) -> None:
        for day in days(FIRST_DAY, LAST_DAY):
            for number in range(self.pen.count(account.mentions_per_day, "mentions", account.id, day)):
                self._mention(account, day, f"mention/{account.handle}/{day}/{number}")
            if account is X_MAIN and day.toordinal() % 5 == 0:
                self._reshare_by_others(day)

    def _mention(self, account: Account, day: date, key: str, text: str | None = None) -> Post:
        chance = self.pen.chance(key)
        person = self.pen.staff[account.platform] if chance.random() < 0.04 else chance.choice(self.pen.persons)
        ts = wib(day, chance.randint(0, 23), chance.randint(0, 59), chance.randint(1, 59))
        draw = chance.random()
        if text is None and draw < 0.06:
            body = f"@{account.handle} {chance.choice(words.SPAM).format(n=chance.randint(10, 99))}"
            return self._item(key, account, person, "mention", ts, body, is_spam=True)
        if text is None and draw < 0.14:
            quoted = self._recent_post(account, ts)
            if quoted is not None:
                body = chance.choice(words.QUOTES).format(account=account.handle)
                return self._item(key, account, person, "quote", ts, body, reference=Reference("quoted", quoted.versions[-1].id))
        template = text or chance.choice(words.MENTIONS)
        return self._item(key, account, person, "mention", ts, template.format(account=account.handle, phone=person.phone))

    def _item(  # noqa: PLR0913 what every item has
        self, key: str, account: Account, person: Person, kind: Kind, ts: int, text: str, **more: object
    ) -> Post:
        sizes = Sizes(like=number_of(key) % 7, impression=number_of(key) % 300)
        return self.pen.write(key, account.platform, person.id_on(account.platform), kind, ts, text, sizes=sizes, **more)

    def _recent_post(self, account: Account, ts: int) -> Post | None:
        """Return the youngest root of the account that is at least an hour old and never deleted."""
        found = [post for post in self._roots_of[account.id] if post.versions[-1].ts < ts - 3600 and post.deleted_ts == NEVER]
        return found[-1] if found else None

    @cached_property
    def _roots_of(self) -> dict[str, list[Post]]:
        roots = sorted((post for post in self.pen.posts() if post.kind == "root"), key=lambda post: post.ts)
        return {account.id: [post for post in roots if post.author_id == account.id] for account in FIRST_ACCOUNTS}

    def _reshare_by_others(self, day: date) -> None:
        """X lists a repost of a post of ours among our mentions, since its text begins with our handle."""
        chance = self.pen.chance("reshare", day)
        ts = wib(day, 20, chance.randint(0, 59), 30)
        original = self._recent_post(X_MAIN, ts)
        if original is not None:
            text = f"RT @{X_MAIN.handle}: {original.text}"
            person = chance.choice(self.pen.persons)
            self._item(f"reshare/{day}", X_MAIN, person, "reshare", ts, text, reference=Reference("retweeted", original.versions[-1].id))

    def _planted_items(self) -> None:
        for account in (X_MAIN, MASTODON):
            for day in CRISIS_DAYS:
                for number in range(70 if account is X_MAIN else 14):
                    key = f"crisis/{account.handle}/{day}/{number}"
                    self._mention(account, day, key, words.CRISIS[number % len(words.CRISIS)])
        for number, day in enumerate(days(date(2025, 12, 8), LAST_DAY)):
            if number % 6 == 0:
                text = words.BOTH_MENTION.format(one=X_MAIN.handle, two=X_PROGRAM.handle)
                self._mention(X_MAIN, day, f"both/{day}", text)
        self._edge_items()
        self._deep_items()
        for day in (date(2026, 1, 18), date(2026, 3, 28)):
            self._answer_abroad(day)

    def _deep_items(self) -> None:
        for number, post in enumerate(self._roots_of[X_MAIN.id][::20]):
            self._deep(X_MAIN, post, f"deep/{number}")
            self._sister_comment(post, f"sister_comment/{number}")
        for number, post in enumerate(self._roots_of[MASTODON.id][::20]):
            self._deep(MASTODON, post, f"deep/m{number}")
        for number, post in enumerate(self._roots_of[X_PROGRAM.id][10:30:10]):
            self._deep(X_PROGRAM, post, f"deep/names_main/{number}", named=X_MAIN)
        for number, post in enumerate([post for post in self._roots_of[X_MAIN.id] if "zakat" in post.hashtags][::12]):
            self._deep(X_MAIN, post, f"deep/names_program/{number}", named=X_PROGRAM)

    def _edge_items(self) -> None:
        for account in FIRST_ACCOUNTS:
            for day in (date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 31), date(2026, 4, 5)):
                late = words.EDGE_LATE.format(account=account.handle)
                early = words.EDGE_EARLY.format(account=account.handle)
                for name, ts, text in (("late", wib(day, 23, 30), late), ("early", wib(day + timedelta(days=1), 0, 30), early)):
                    person = self.pen.chance("edge", name, account.id, day).choice(self.pen.persons)
                    self._item(f"edge/{name}/{account.handle}/{day}", account, person, "mention", ts, text)

    def _deep(self, account: Account, post: Post, key: str, named: Account | None = None) -> None:
        """Write a comment below our post, and one that answers it; on Mastodon the second is a mention only."""
        first = self._comment(f"{key}/a", account, post, post.ts + 5_000, words.QUESTIONS[1])
        answered = self.pen.handle_of(account.platform, first.author_id)
        chance = self.pen.chance(key)
        person = chance.choice([person for person in self.pen.persons if person.handle != answered])
        text = f"@{answered} @{(named or account).handle} {chance.choice(words.DEEP)}"
        self._item(
            f"{key}/b", account, person, "comment" if account.platform == "x" else "mention", first.ts + 1_800, text,
            conversation_id=post.conversation_id, reply_to_id=first.id, reply_to_author=first.author_id,
            root_id=post.root_id if account.platform == "x" else None,
        )  # fmt: skip

    def _sister_comment(self, post: Post, key: str) -> None:
        """Our second account answers a post of our first: an item by ourselves, in its timeline and in the first's mentions."""
        ts = post.versions[-1].ts + 7_300
        if QUIET_WEEK[0] <= local_day(ts) <= QUIET_WEEK[1]:
            return
        self.pen.write(
            key, "x", X_PROGRAM.id, "reply", ts, words.SISTER_COMMENT.format(account=X_MAIN.handle),
            conversation_id=post.conversation_id, reply_to_id=post.versions[-1].id, reply_to_author=X_MAIN.id,
            sizes=Sizes(like=3, impression=120),
        )  # fmt: skip

    def _answer_abroad(self, day: date) -> None:
        """We answer somebody's own post, and that person answers us: a comment whose conversation is not ours."""
        root = self._foreign("x", f"abroad/{day}", wib(day, 8, 0, 9))
        person = self.pen.person_of("x", root.author_id)
        if person is None:
            return
        text = words.FOREIGN_ANSWER.format(person=person.handle)
        ours = self.pen.write(
            f"abroad/{day}/ours", "x", X_MAIN.id, "reply", root.ts + 4_000, text, conversation_id=root.id,
            reply_to_id=root.id, reply_to_author=root.author_id, sizes=Sizes(like=2, impression=90),
        )  # fmt: skip
        self._item(
            f"abroad/{day}/theirs", X_MAIN, person, "comment", ours.ts + 3_000, f"@{X_MAIN.handle} {words.PRAISE[2]}",
            conversation_id=root.id, reply_to_id=ours.id, reply_to_author=X_MAIN.id,
        )  # fmt: skip

    # -- our answers --------------------------------------------------------------------------------------------------------------

    def _answer(self, item: Post) -> None:
        """Answer every third question or so; a few of these are answered in turn."""
        chance = self.pen.chance("answer", item.key)
        ts = item.ts + chance.randint(1_200, 30_000)
        is_quiet = QUIET_WEEK[0] <= local_day(ts) <= QUIET_WEEK[1]
        if "?" not in item.text or item.is_spam or is_quiet or chance.random() > 0.35 or item.reply_to_author is None:
            return
        if not self.pen.is_own(item.reply_to_author):
            return
        account = self.pen.account(item.reply_to_author)
        text = chance.choice(words.OWN_REPLIES).format(person=self.pen.handle_of(account.platform, item.author_id))
        ours = self.pen.write(
            f"reply/{item.key}", account.platform, account.id, "reply", ts, text, conversation_id=item.conversation_id,
            reply_to_id=item.id, reply_to_author=item.author_id,
            sizes=Sizes(like=chance.randint(0, 3), impression=chance.randint(10, 90)),
        )  # fmt: skip
        if chance.random() < 0.25:
            root_id = item.root_id if account.platform == "x" else None
            self.pen.write(
                f"thanks/{item.key}", account.platform, item.author_id, "comment", ts + chance.randint(600, 9_000),
                f"@{account.handle} {chance.choice(words.PRAISE)}", conversation_id=item.conversation_id,
                reply_to_id=ours.id, reply_to_author=account.id, root_id=root_id,
            )  # fmt: skip
