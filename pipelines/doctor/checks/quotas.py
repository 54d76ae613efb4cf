"""What each institution used of each platform in the platform's day, beside its allowance.

Not here: keeping to it (connectors/budget.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pipelines.doctor.finding import Finding, State, counted, moment
from pipelines.doctor.patient import Patient

NEARLY_SPENT = Decimal("0.8")


def quotas(patient: Patient) -> Iterator[Finding]:
    """What each institution used of each platform in the platform's day, beside its allowance."""
    if patient.warehouse.state != "read":
        yield Finding("quotas", State.GREEN, "not known now")
        return
    for name, institution in patient.institutions.items():
        for platform, allowance in sorted(patient.house.allowances(institution).items()):
            began = allowance.day_began(patient.now)
            of_today = [one for one in patient.warehouse.spent if one[:2] == (name, platform) and one[2] >= began]
            if not of_today:
                continue
            requests, cost_usd = sum(one[3] for one in of_today), sum((one[4] for one in of_today), Decimal(0))
            bounds: list[tuple[Decimal, Decimal | int | None]] = [(Decimal(requests), allowance.requests), (cost_usd, allowance.cost_usd)]
            is_near = any(bound is not None and used >= NEARLY_SPENT * bound for used, bound in bounds)
            told = f"{requests:,} of {allowance.requests:,} requests" if allowance.requests else counted(requests, "request")
            told += f", {cost_usd:.2f} of {allowance.cost_usd:.2f} USD" if allowance.cost_usd else ""
            yield Finding(
                "quotas",
                State.AMBER if is_near else State.GREEN,
                f"{name} {platform}: {told} since {moment(began)}",
                "nothing: lists that end are gone on with tomorrow; if it is so every day, see max_requests_per_day" if is_near else None,
            )
