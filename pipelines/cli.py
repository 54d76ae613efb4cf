"""The command line: what a person types, what they see, and how a script learns how it went.

Not here: what is done (runner.py, night.py, demo.py).

Exit codes: 0 all well; 1 the night is not whole (gaps or a refused institution; everything else was published); 2 the command or a
setting is wrong, nothing was done; 3 another run works in the same home; 4 the warehouse cannot be used.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Sheet

from connectors.privacy import NoKeyError
from connectors.registry import platforms
from pipelines.house import HomeBusyError, House
from pipelines.privacy_cli import register as register_privacy
from pipelines.settings import ID_PATTERN, SettingsError, json_schema, load_institution
from pipelines.template import institution_template
from pipelines.warehouse import WarehouseError

# A traceback for people who do not program would show local variables, tokens among them: none is drawn.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tolok: does the institution's social media reach its goals?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
NOT_WHOLE, WRONG, BUSY, UNUSABLE = 1, 2, 3, 4
DEMO_HOME = Path("var/demo")
UI_PORT = 3000
Home = Annotated[Path | None, typer.Option("--home", help="Folder of the home; TOLOK_HOME or var/ without it")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer for a machine")]
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def _house(home: Path | None) -> House:
    return House(home.resolve()) if home else House.from_environment()


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what a user can mend into a sentence and an exit code."""
    codes = {SettingsError: WRONG, NoKeyError: WRONG, HomeBusyError: BUSY, WarehouseError: UNUSABLE}
    try:
        yield
    except tuple(codes) as failure:
        err.print(str(failure), markup=False, highlight=False)
        raise typer.Exit(next(code for kind, code in codes.items() if isinstance(failure, kind))) from None


@contextmanager
def _bar(total: int, label: str) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:<44.44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        progress.add_task(label, total=total)
        yield progress


@app.command()
def demo(
    home: Annotated[Path, typer.Option("--home", help="Folder of the demo's own home")] = DEMO_HOME,
    as_json: AsJson = False,  # noqa: FBT002 a switch
    nights: Annotated[int | None, typer.Option("--nights", help="Play only the first nights", min=2)] = None,
) -> None:
    """Play 120 nights of a simulated zakat agency, without keys, and show where the results are."""
    from pipelines import demo as stage  # noqa: PLC0415 Dagster and the sandbox take two seconds to import

    begun = time.monotonic()
    spoken = 0
    with _in_words(), _bar(1, "starting the sandbox") as bar:

        def progress(name: str, step: int, steps: int) -> None:
            nonlocal spoken
            bar.update(bar.task_ids[0], description=name, completed=step, total=steps)
            # Without a terminal a line every twenty nights says that it goes on.
            if bar.disable and step // 20 > spoken:
                spoken = step // 20
                err.print(f"night {step} of {steps}", highlight=False)

        played = stage.play(home.resolve(), progress, nights)
    _tell_demo(played, home, time.monotonic() - begun, as_json=as_json)
    if not all(outcome.is_success for outcome in played.outcomes):
        raise typer.Exit(NOT_WHOLE)


def _tell_demo(played: object, home: Path, seconds: float, *, as_json: bool) -> None:
    from pipelines.demo import INSTITUTION, Played  # noqa: PLC0415

    if not isinstance(played, Played):
        raise TypeError
    last = played.outcomes[-1] if played.outcomes else None
    failed = list(last.checks_failed) if last else []
    told = {
        "nights played": played.nights,
        "platforms": ", ".join(f"{name} ({count} account{'s' if count > 1 else ''})" for name, count in played.platforms.items()),
        "rows new / changed in the last night": f"{played.rows_new:,} / {played.rows_changed:,}",
        "gaps in the last night": played.gaps,
        "days lost for good (the machine was off)": played.days_lost,
        "checks passed": f"{last.checks_passed if last else 0} of {(last.checks_passed if last else 0) + len(failed)}",
        "seconds": round(seconds, 1),
        "published file": _short(played.published),
        "scorecard": _short(played.published.with_name("scorecard.xlsx")),
    }
    if as_json:
        out.print_json(json.dumps(told | {"checks_failed": failed, "unchanged": played.is_unchanged}))
        return
    sheet = Sheet(title=f"The nights of '{INSTITUTION}'", show_header=False, title_justify="left")
    sheet.add_column()
    sheet.add_column(overflow="fold")
    for name, value in told.items():
        sheet.add_row(name, str(value))
    out.print(sheet)
    if played.is_unchanged:
        out.print("Nothing was new: landing, raw, stamps and the published file (inode included) are as they were.")
    for outcome in played.outcomes:
        for step, sentence in outcome.failures.items():
            out.print(f"{step}: {sentence}", markup=False, highlight=False)
    path = _short(played.published)
    look = f"import duckdb; duckdb.connect('{path}', read_only=True).sql('FROM mart.latest_scorecard').show()"
    out.print(f'Open it:    .venv/bin/python -c "{look}"', markup=False, highlight=False)
    out.print(f"Look at it: make ui   (the lineage of {_short(home)}, on http://127.0.0.1:{UI_PORT})", markup=False, highlight=False)


def _short(path: Path) -> str:
    """The path as a person would type it from where they stand."""
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


@app.command()
def init(
    institution: Annotated[str, typer.Argument(help="Key of the institution: lower case letters, digits, _")],
    home: Home = None,
) -> None:
    """Write a commented configuration for an institution. Refuses to overwrite."""
    import re  # noqa: PLC0415

    if not re.match(ID_PATTERN, institution):
        err.print(f"{institution!r} cannot be a key: write 2 to 40 lower case letters, digits or _, a letter first. Nothing was written.")
        raise typer.Exit(WRONG)
    house = _house(home)
    path = house.institutions_path / f"{institution}.toml"
    if path.exists():
        err.print(f"{path} is already there and was left as it is. Edit it, or choose another key.", highlight=False)
        raise typer.Exit(WRONG)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = path.parent / "institution.schema.json"
    schema.write_text(json_schema(), encoding="utf-8")
    path.write_text(institution_template(institution), encoding="utf-8")
    load_institution(path)
    out.print(f"Wrote {_short(path)} (and {schema.name} for your editor). Next:", highlight=False)
    out.print("  1. edit it: accounts, goals, targets", highlight=False)
    out.print(
        f"  2. set the secrets: export TOLOK_HMAC_KEY={secrets.token_hex(32)}   (keep it: it must stay the same)",
        highlight=False,
        soft_wrap=True,
    )
    for platform in platforms():
        out.print(
            f"     export TOLOK_{institution.upper()}_{platform.upper()}_TOKEN=...   (or ..._TOKEN_FILE=path)",
            highlight=False,
            soft_wrap=True,
        )
    out.print("  3. run a night: tolok run", highlight=False)


@app.command()
def run(
    home: Home = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Fetch this platform alone; may be given again")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """One night in this process, with progress: fetch, derive, check, publish."""
    unknown = sorted(set(only or ()) - set(platforms()))
    if unknown:
        err.print(f"There is no platform {', '.join(unknown)}; there are: {', '.join(platforms())}. Nothing was done.")
        raise typer.Exit(WRONG)
    house = _house(home)
    _require_institutions(house)
    with _in_words():
        house.pseudonyms()
        with house.lock(), _bar(1, "starting") as bar:
            outcome = _run(house, only, bar)
    _tell(outcome, as_json=as_json)


def _run(house: House, only: list[str] | None, bar: Progress) -> object:
    from pipelines.runner import run_job  # noqa: PLC0415
    from pipelines.wiring import all_assets, streams_by_key  # noqa: PLC0415

    keys = None
    if only:
        chosen = {key for key, (platform, _) in streams_by_key().items() if platform in only}
        keys = sorted(chosen | {key for asset in all_assets() for key in asset.keys if key not in streams_by_key()})
    steps = 0

    def progress(name: str) -> None:
        nonlocal steps
        steps += 1
        bar.update(bar.task_ids[0], description=name, completed=steps, total=max(steps + 1, len(keys or ()) or 40))

    return run_job(house, selection=keys, progress=progress)


def _tell(outcome: object, *, as_json: bool) -> None:
    from pipelines.runner import Outcome  # noqa: PLC0415

    if not isinstance(outcome, Outcome):
        raise TypeError
    told = {
        "run": outcome.run_id,
        "published": dict(outcome.published),
        "checks passed": outcome.checks_passed,
        "checks failed": list(outcome.checks_failed),
        "failures": dict(outcome.failures),
    }
    if as_json:
        out.print_json(json.dumps(told))
    else:
        for institution, what in outcome.published.items():
            out.print(f"{institution}: {what}", markup=False, highlight=False)
        out.print(f"checks: {outcome.checks_passed} passed, {len(outcome.checks_failed)} failed", highlight=False)
        for sentence in (*outcome.checks_failed, *outcome.failures.values()):
            err.print(sentence, markup=False, highlight=False)
    if not outcome.is_success:
        raise typer.Exit(UNUSABLE if outcome.is_unusable else NOT_WHOLE)


@app.command()
def publish(home: Home = None, as_json: AsJson = False) -> None:  # noqa: FBT002
    """The last step alone: publish what is approved. What is not approved is refused from here too."""
    from pipelines.runner import run_job  # noqa: PLC0415
    from pipelines.wiring import PUBLISH_KEY  # noqa: PLC0415

    house = _house(home)
    _require_institutions(house)
    with _in_words(), house.lock():
        outcome = run_job(house, selection=[PUBLISH_KEY])
    _tell(outcome, as_json=as_json)


@app.command()
def schema() -> None:
    """The JSON Schema of an institution's file, for editors."""
    out.print(json_schema(), markup=False, highlight=False, soft_wrap=True)


@app.command()
def ui(
    home: Home = None,
    port: Annotated[int, typer.Option("--port", help="Where it listens on 127.0.0.1")] = UI_PORT,
    with_sandbox: Annotated[bool, typer.Option("--sandbox", help="Run the demo's platforms beside it")] = False,  # noqa: FBT002 a switch
) -> None:
    """The Dagster UI and its daemon, on the loopback address. There is no login: do not put it on a network without one."""
    from contextlib import ExitStack  # noqa: PLC0415

    from pipelines.runner import prepare_instance  # noqa: PLC0415

    is_demo = with_sandbox or (home is None and "TOLOK_HOME" not in os.environ and _has_demo_alone())
    house = _house(home or (DEMO_HOME if is_demo else None))
    prepare_instance(house.dagster_path)
    environ = dict(os.environ) | {"DAGSTER_HOME": str(house.dagster_path), "TOLOK_HOME": str(house.home)}
    with ExitStack() as stack:
        if is_demo:
            from pipelines import demo as stage  # noqa: PLC0415

            running, demo_house = stage.open_sandbox(house.home)
            stack.enter_context(running)
            environ |= stage.ENVIRON | {"TOLOK_NOW": demo_house.clock.now().isoformat()}
        out.print(f"http://127.0.0.1:{port}   (Ctrl-C ends it)", highlight=False)
        command = [str(Path(sys.executable).with_name("dg")), "dev", "--host", "127.0.0.1", "--port", str(port)]
        root = Path(__file__).parents[1]
        raise typer.Exit(subprocess.call(command, env=environ, cwd=root))  # noqa: S603 our own interpreter's sibling


def _has_demo_alone() -> bool:
    """The demo was played here, and no institution of one's own is set up: then the demo is what there is to see."""
    return (DEMO_HOME / "institutions").exists() and not any((Path("var") / "institutions").glob("*.toml"))


def _require_institutions(house: House) -> None:
    with _in_words():
        house.require()
    usable, faults = house.institutions()
    for fault in faults:
        err.print(str(fault), markup=False, highlight=False)
    if not usable:
        err.print(
            f"There is no institution to work for under {house.institutions_path}. `tolok init NAME` writes a file to begin with.",
            highlight=False,
        )
        raise typer.Exit(WRONG)


register_privacy(app, _house, _in_words)
