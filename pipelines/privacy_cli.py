"""The commands of privacy: `tolok erase` and `tolok retention`.

Not here: what they do (erase/, retention.py), and the other commands (cli.py, which registers these).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from pipelines.house import House
    from pipelines.retention import Taken

NOT_WHOLE = 1
Home = Annotated[Path | None, typer.Option("--home", help="Folder of the home; TOLOK_HOME or var/ without it")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer for a machine")]
FROM_INPUT = "-"


def register(app: typer.Typer, house_of: Callable[[Path | None], House], in_words: Callable[[], AbstractContextManager[None]]) -> None:
    """Add the commands; `in_words` turns what a user can mend into a sentence and an exit code."""
    out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)

    @app.command()
    def erase(
        platform: Annotated[str, typer.Argument(help="Key of the platform, e.g. mastodon, x")],
        person_id: Annotated[str, typer.Argument(metavar="ID", help="The platform's id of the person; - reads it from standard input")],
        home: Home = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell, as JSON, what is kept of the person, and erase nothing")] = False,  # noqa: FBT002
        as_json: AsJson = False,  # noqa: FBT002 a switch
    ) -> None:
        """Erase a person from everything under the home, and keep them from coming back. The id is not written anywhere."""
        from pipelines.erase import erase as erase_person  # noqa: PLC0415
        from pipelines.erase import kept_of  # noqa: PLC0415

        typed = sys.stdin.readline().strip() if person_id == FROM_INPUT else person_id
        if dry_run:
            with in_words():
                out.print_json(json.dumps(kept_of(house_of(home), platform, typed), default=str))
            return
        with in_words():
            erased = erase_person(house_of(home), platform, typed)
        counts = {place: count for place, count in sorted(erased.counts.items()) if count}
        if as_json:
            out.print_json(json.dumps({"erasure": erased.erasure_id, "cleaned": counts}))
            return
        out.print(f"erased (evidence {erased.erasure_id} in meta.erasure). Cleaned:", markup=False, highlight=False)
        for place, count in counts.items():
            out.print(f"  {place}: {count}", markup=False, highlight=False)
        if not counts:
            out.print("  nothing was there; the person will not come in.", markup=False, highlight=False)

    @app.command()
    def retention(
        home: Home = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and leave it")] = False,  # noqa: FBT002
        as_json: AsJson = False,  # noqa: FBT002
    ) -> None:
        """Take away what is too old: the platforms' answers after 30 days, single comments and mentions after 13 months. Sums stay."""
        import uuid  # noqa: PLC0415

        from pipelines import retention as room  # noqa: PLC0415
        from pipelines.persons import key_ids_in_use  # noqa: PLC0415

        house = house_of(home)
        with in_words():
            institutions, faults = house.institutions()
            for fault in faults:
                err.print(str(fault), markup=False, highlight=False)
            with house.lock():
                with house.warehouse.open() as connection:
                    taken = room.run(connection, house, institutions, f"retention-{uuid.uuid4()}", dry=dry_run)
                    keys = key_ids_in_use(connection)
                if not dry_run:
                    room.compact_if_worthwhile(house)
        _tell(out, taken, keys, dry_run=dry_run, as_json=as_json)
        if any(one.held_back for one in taken):
            raise typer.Exit(NOT_WHOLE)


def _tell(out: Console, taken: list[Taken], keys: dict[str, int], *, dry_run: bool, as_json: bool) -> None:
    told = [one for one in taken if one.taken or one.held_back]
    if as_json:
        lines = [asdict(one) | {"kept_from": str(one.kept_from)} for one in told]
        out.print_json(json.dumps({"dry_run": dry_run, "taken": lines, "pseudonyms_by_key_id": keys}))
        return
    for one in told:
        said = f"held back: {one.held_back}" if one.held_back else f"{one.taken} {'would go' if dry_run else 'went'}"
        out.print(f"{one.institution_id} {one.thing} before {one.kept_from}: {said}", markup=False, highlight=False)
    if not told:
        out.print("Nothing is too old.", markup=False, highlight=False)
    for key_id, count in sorted(keys.items()):
        out.print(f"pseudonyms under key {key_id}: {count}", markup=False, highlight=False)
