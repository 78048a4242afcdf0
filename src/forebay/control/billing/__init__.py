"""What the hub makes of usage: the ledger, and what it costs.

The room promises that each event of each journal is in the ledger once, whatever is shipped twice, late
or in pieces; that what a node has lost is visible as a gap; and that money is exact until a plan rounds it.
"""

from forebay.control.billing.bills import Bill, BillLine, Kind
from forebay.control.billing.blocks import Entry
from forebay.control.billing.invoice_papers import invoice_csv, invoice_pdf
from forebay.control.billing.invoices import Invoice, Invoices
from forebay.control.billing.leases import Leases
from forebay.control.billing.ledger import Gap, Ledger
from forebay.control.billing.limits import CallLimits, LimitRecord, limits_for_nodes
from forebay.control.billing.money import rounded
from forebay.control.billing.months import Month
from forebay.control.billing.planbook import PlanBook, PlanUse, PlanVersion
from forebay.control.billing.plans import DEFAULT_PLAN, Plan, Price, Tax, Tier, Unit
from forebay.control.billing.rating import Charge, Item, cost, rate
from forebay.control.billing.summary import Grouping, Line, Summary
from forebay.control.billing.use import Use
from forebay.control.billing.verify import Verified

__all__ = [
    "DEFAULT_PLAN",
    "Bill",
    "BillLine",
    "CallLimits",
    "Charge",
    "Entry",
    "Gap",
    "Grouping",
    "Invoice",
    "Invoices",
    "Item",
    "Kind",
    "Leases",
    "Ledger",
    "LimitRecord",
    "Line",
    "Month",
    "Plan",
    "PlanBook",
    "PlanUse",
    "PlanVersion",
    "Price",
    "Summary",
    "Tax",
    "Tier",
    "Unit",
    "Use",
    "Verified",
    "cost",
    "invoice_csv",
    "invoice_pdf",
    "limits_for_nodes",
    "rate",
    "rounded",
]
