"""The command line: what a person types, what they see, and how a script learns how it went.

Not here: what is done (runner.py, night.py, demo.py, doctor/), and which exit code a failure has (exits.py).
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Sheet
from rich.text import Text

from connectors.registry import platforms
from pipelines.backfill import span_of
from pipelines.exits import CODES, Exit, code_of, help_text
from pipelines.house import House
from pipelines.privacy_cli import register as register_privacy
from pipelines.settings import ID_PATTERN, Institution, json_schema, load_institution
from pipelines.signals import watching
from pipelines.template import institution_template
from pipelines.warehouse import HomeUnusableError

# A traceback for people who do not program would show local variables, tokens among them: none is drawn.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tolok: does the institution's social media reach its goals?",
    epilog=help_text(),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
NOT_WHOLE, WRONG, BUSY, UNUSABLE = Exit.NOT_WHOLE, Exit.WRONG, Exit.BUSY, Exit.UNUSABLE
DEMO_HOME = Path("var/demo")
UI_PORT = 3000
Home = Annotated[Path | None, typer.Option("--home", help="Folder of the home; TOLOK_HOME or var/ without it")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer for a machine")]
# As in wiring.py, which takes two seconds to import.
INSTITUTIONS_TAG = "tolok/institutions"


class LogFormat(StrEnum):
    """What a run writes to standard error."""

    TEXT = "text"
    JSON = "json"


out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


def _house(home: Path | None) -> House:
    found = House.from_environment()
    return replace(found, home=home.resolve()) if home else found


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what a user can mend into a sentence and an exit code, and a signal into its code."""
    with watching() as signals:
        try:
            yield
        except tuple(CODES) as failure:
            err.print(str(failure), markup=False, highlight=False)
            raise typer.Exit(code_of(failure) or NOT_WHOLE) from None
        except KeyboardInterrupt:
            err.print("Stopped before the run had begun, or between two steps of it. What came until then is kept.", highlight=False)
            raise typer.Exit(128 + signals.first if signals.first else Exit.INTERRUPTED) from None


@contextmanager
def _own_stderr() -> Iterator[TextIO]:
    """Standard error by a way of its own: Dagster leads the usual one into a file while a step runs, and a bar drawn there is never seen."""
    try:
        number = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):
        yield sys.stderr
        return
    with os.fdopen(number, "w", encoding="utf-8", buffering=1) as file:
        yield file


@contextmanager
def _bar(total: int, label: str) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:<52.52}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _own_stderr() as file:
        console = Console(file=file)
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
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
    schema = path.parent / "institution.schema.json"
    with _in_words():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            schema.write_text(json_schema(), encoding="utf-8")
            path.write_text(institution_template(institution), encoding="utf-8")
        except OSError as failure:
            message = f"{path} could not be written ({failure.strerror}). Give another folder with --home or TOLOK_HOME."
            raise HomeUnusableError(message) from None
    load_institution(path)
    out.print(f"Wrote {_short(path)} (and {schema.name} for your editor). Next:", highlight=False)
    out.print("  1. edit it: accounts, goals, targets", highlight=False)
    out.print(
        f"  2. set the secrets: export TOLOK_HMAC_KEY={secrets.token_hex(32)}   (keep it; to change it: docs/privacy.md)",
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


@app.command(epilog=help_text())
def run(  # noqa: PLR0913 one parameter an option
    home: Home = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="PLATFORM", help="Fetch this platform alone; may be repeated")] = None,
    institution: Annotated[list[str] | None, typer.Option(metavar="NAME", help="For this institution alone; may be repeated")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="Fetch again from this day on (2026-01-31): a backfill")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day of the backfill; today without it")] = None,
    log_format: Annotated[LogFormat, typer.Option(help="What goes to standard error meanwhile")] = LogFormat.TEXT,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """One night in this process, with progress: fetch, derive, check, publish. Ctrl-C ends it in order."""
    unknown = sorted(set(only or ()) - set(platforms()))
    if unknown:
        _refuse(f"There is no platform {', '.join(unknown)}; there are: {', '.join(platforms())}. Nothing was done.")
    house = _house(home)
    usable = _require_institutions(house)
    strangers = sorted(set(institution or ()) - set(usable))
    if strangers:
        _refuse(f"There is no usable institution {', '.join(strangers)}; there are: {', '.join(usable)}. Nothing was done.")
    with _in_words():
        span = span_of(begin, end, house.clock.now(), [usable[name] for name in institution or usable], only or ())
        for remark in span.remarks:
            err.print(remark, markup=False, highlight=False)
        house.pseudonyms()
        tags = dict(span.tags) | ({INSTITUTIONS_TAG: ",".join(sorted(set(institution)))} if institution else {})
        with house.lock():
            used = {account.platform for one in usable.values() for account in one.accounts}
            outcome = _run(house, set(only or used), tags, log_format)
    _tell(outcome, as_json=as_json, in_words=log_format is LogFormat.TEXT)


def _refuse(sentence: str) -> None:
    err.print(sentence, markup=False, highlight=False)
    raise typer.Exit(WRONG)


def _run(house: House, wanted: set[str], tags: dict[str, str], log_format: LogFormat) -> object:
    from pipelines import logs  # noqa: PLC0415
    from pipelines.runner import run_job  # noqa: PLC0415
    from pipelines.wiring import all_assets, streams_by_key  # noqa: PLC0415

    keys = None
    # Lists of platforms that nobody here uses would only be told as empty, each with a dozen records of Dagster's.
    if wanted < platforms().keys():
        chosen = {key for key, (platform, _) in streams_by_key().items() if platform in wanted}
        keys = sorted(chosen | {key for asset in all_assets() for key in asset.keys if key not in streams_by_key()})
    if log_format is LogFormat.JSON:
        with _own_stderr() as file, logs.listening(logs.to_stream(file)):
            return run_job(house, selection=keys, tags=tags)
    with _bar(1, "starting") as bar:
        shown = Shown(bar)
        with logs.listening(shown):
            return run_job(house, selection=keys, tags=tags, progress=shown.step)


class Shown(logging.Handler):
    """What the bar shows of a run: the step of how many, and while lists are fetched, how many of them and how many records."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self._bar = bar
        self._name = "starting"
        self._streams = 0
        self._done = 0
        self._records = 0

    def step(self, name: str, number: int, steps: int) -> None:
        """A step begins: those before it are done."""
        self._name = name
        self._bar.update(self._bar.task_ids[0], description=name, completed=number - 1, total=steps)

    def emit(self, record: logging.LogRecord) -> None:
        facts = getattr(record, "facts", {})
        if record.msg == "fetch":
            self._streams, self._done, self._records = int(facts["streams"]), 0, 0
        elif record.msg == "stream":
            self._done += 1
            self._records += int(facts["records"])
        else:
            return
        told = f"{self._name}: {self._done} of {self._streams} lists, {self._records:,} records"
        self._bar.update(self._bar.task_ids[0], description=told)


def _tell(outcome: object, *, as_json: bool, in_words: bool = True) -> None:
    from pipelines.runner import Outcome  # noqa: PLC0415

    if not isinstance(outcome, Outcome):
        raise TypeError
    told = {
        "run": outcome.run_id,
        "published": dict(outcome.published),
        "checks passed": outcome.checks_passed,
        "checks failed": list(outcome.checks_failed),
        "failures": dict(outcome.failures),
        "exit_code": int(outcome.exit_code),
    }
    if as_json:
        out.print_json(json.dumps(told))
    else:
        for institution, what in outcome.published.items():
            out.print(f"{institution}: {what}", markup=False, highlight=False)
        out.print(f"checks: {outcome.checks_passed} passed, {len(outcome.checks_failed)} failed", highlight=False)
        for sentence in (*outcome.checks_failed, *outcome.failures.values()) if in_words else ():
            err.print(sentence, markup=False, highlight=False)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


@app.command(epilog=help_text())
def publish(home: Home = None, as_json: AsJson = False) -> None:  # noqa: FBT002
    """The last step alone: publish what is approved. What is not approved is refused from here too."""
    from pipelines.runner import run_job  # noqa: PLC0415
    from pipelines.wiring import PUBLISH_KEY  # noqa: PLC0415

    house = _house(home)
    _require_institutions(house)
    with _in_words(), house.lock():
        outcome = run_job(house, selection=[PUBLISH_KEY])
    _tell(outcome, as_json=as_json)


# A colour tells nothing that the word does not.
SYMBOLS = {"green": ("✓", "green"), "amber": ("!", "yellow"), "red": ("✗", "red")}


@app.command(epilog="Exit codes: 0 nothing is red; 1 something is.")
def doctor(
    home: Home = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no platform")] = False,  # noqa: FBT002 a switch
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Look at all that a night needs, and say what mends each fault. Changes nothing, and may be asked while a night runs."""
    from pipelines import doctor as room  # noqa: PLC0415 nothing else needs what it imports

    with _in_words():
        found = room.examine(_house(home), is_offline=offline)
    counts = {state.value: sum(finding.state is state for finding in found) for state in room.State}
    if as_json:
        out.print_json(json.dumps({**counts, "findings": [finding._asdict() for finding in found]}))
    else:
        lines = Sheet.grid(padding=(0, 2, 0, 0))
        for overflow in ("ignore", "ignore", "fold"):
            lines.add_column(no_wrap=overflow == "ignore", overflow=overflow)
        for finding in found:
            symbol, colour = SYMBOLS[finding.state.value]
            texts = [(finding.found, "")] + ([(f"→ {finding.fix}", "bold")] if finding.fix else [])
            for at, (text, style) in enumerate(texts):
                head = (f"{symbol} {finding.state.value}", finding.check) if at == 0 else ("", "")
                if out.is_terminal:
                    lines.add_row(Text(head[0], colour), head[1], Text(text, style))
                else:
                    out.print(f"{head[0]:<8} {head[1]:<14} {text}", markup=False, highlight=False)
        if out.is_terminal:
            out.print(lines, soft_wrap=False)
        out.print(", ".join(f"{number} {name}" for name, number in counts.items()), highlight=False)
    if counts["red"]:
        raise typer.Exit(NOT_WHOLE)


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


def _require_institutions(house: House) -> dict[str, Institution]:
    with _in_words():
        house.require()
    usable, faults = house.institutions()
    for fault in faults:
        err.print(str(fault), markup=False, highlight=False)
    if not usable:
        _refuse(f"There is no institution to work for under {house.institutions_path}. `tolok init NAME` writes a file to begin with.")
    return usable


register_privacy(app, _house, _in_words)
