"""Short ways to do something about an episode, between results.

Law: nothing here computes an expectation; it does what a step says, and reads rows back.
"""

from datetime import timedelta

from sqlalchemy import select

from service.domain.actors import Actor, ActorKind
from service.domain.acts import ActKind, Reason, Until
from service.flows import acknowledge
from service.formats.act_asked import Asked
from service.storage import acts as act_rows
from service.storage.tables import episodes, flags
from tests.flows.build import NOW, Sender, calcium, events, panel

PATEL = Actor(kind=ActorKind.PERSON, id="usr_patel", name="Dr Patel")
OKAFOR = Actor(kind=ActorKind.PERSON, id="usr_okafor", name="Dr Okafor")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

ACK = Asked(kind=ActKind.ACKNOWLEDGE, reason=Reason.ACTING, note="seen")
UNDO = Asked(kind=ActKind.UNDO)
DO = {
    "acknowledge": ACK,
    "undo": UNDO,
    "comment": Asked(kind=ActKind.COMMENT, note="asked for the old results"),
    "assign": Asked(kind=ActKind.ASSIGN, assignee="team-red"),
    "snooze until worse": Asked(kind=ActKind.SNOOZE, until_kind=Until.WORSE),
    "snooze until next": Asked(kind=ActKind.SNOOZE, until_kind=Until.NEXT_RESULT),
    "snooze an hour": Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW + HOUR, note="later"),
    "unsnooze": Asked(kind=ActKind.UNSNOOZE),
}


class Ward:
    """Where results come, and people do something about them; every step is a minute after the one before."""

    def __init__(self, means):
        self.means, self.sender, self.now = means, Sender(means), NOW - DAY

    def __repr__(self):
        return "the ward"

    def take(self, step):
        self.now += MINUTE
        if step in DO:
            return self.do(DO[step])
        value, _, on = step.partition(" on ")
        value, _, status = value.removeprefix("late ").partition(" ")
        more = {"status": status} if status else {}
        return self.sender.send(panel(calcium(value, id=f"C{on}", **more), on=float(on)), at=self.now)

    def do(self, asked, *, by=PATEL, **more):
        name = more.pop("name", None) or self.episode().id
        return acknowledge.do(name, asked, self.means, by=by, now=self.now, **more)

    def episode(self):
        """The calcium episode that was opened last."""
        with self.means.database.reading() as connection:
            found = select(episodes).where(episodes.c.finding == "hypercalcemia", episodes.c.state != "merged")
            return connection.execute(found.order_by(episodes.c.opened_at.desc())).first()

    def flags(self):
        with self.means.database.reading() as connection:
            own = select(flags.c.state).where(flags.c.episode_id == self.episode().id)
            return " ".join(connection.execute(own.order_by(flags.c.collected_at, flags.c.raised_at)).scalars())

    def told(self):
        return [name.removeprefix("lab.flag.") for name, _ in events(self.means.database)]

    def holds(self, *, after=timedelta()):
        row = self.episode()
        with self.means.database.reading() as connection:
            found = act_rows.attention(connection, row.patient_id, [row.id], now=self.now + after)
        return found[row.id]
