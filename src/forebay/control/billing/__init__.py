"""What the hub makes of usage: the ledger, and what it costs.

The room promises that each event of each journal is in the ledger once, whatever is shipped twice, late
or in pieces; that what a node has lost is visible as a gap; and that money is exact until a plan rounds it.
"""

from forebay.control.billing.blocks import Entry
from forebay.control.billing.ledger import Gap, Ledger
from forebay.control.billing.rating import DEFAULT_PLAN, Plan, Use, amount, cost
from forebay.control.billing.summary import Grouping, Line, Summary
from forebay.control.billing.verify import Verified

__all__ = [
    "DEFAULT_PLAN",
    "Entry",
    "Gap",
    "Grouping",
    "Ledger",
    "Line",
    "Plan",
    "Summary",
    "Use",
    "Verified",
    "amount",
    "cost",
]
