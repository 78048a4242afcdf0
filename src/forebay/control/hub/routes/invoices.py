"""Invoices: months that are closed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from forebay.control.billing import invoice_csv, invoice_pdf
from forebay.control.hub.bodies.invoices import (
    AddressBody,
    CounterBody,
    CreditBody,
    Credits,
    InvoiceAnswer,
    InvoiceList,
    IssueBody,
)
from forebay.control.hub.guard import in_project
from forebay.control.hub.problems import problems
from forebay.control.hub.services import Hub
from forebay.core import Permission, Principal

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["invoices"])

_READS_USAGE = [Depends(in_project(Permission.USAGE))]
Number = Annotated[int, Path(ge=1, lt=2**31)]
Biller = Annotated[Principal, Depends(in_project(Permission.BILLING))]


@router.get("/invoices", dependencies=_READS_USAGE, responses=problems(404))
def list_invoices(project: str, hub: Hub) -> InvoiceList:
    """The project's invoices, by number."""
    return InvoiceList.listing(hub.invoices.all(project))


@router.post("/invoices", status_code=HTTPStatus.CREATED, responses=problems(404, 409))
def issue_invoices(project: str, body: IssueBody, who: Biller, hub: Hub) -> InvoiceList:
    """Close a month: an invoice for each currency; none if there is nothing to pay."""
    return InvoiceList.listing(hub.invoices.issue(project, body.month, who.key_id))


@router.get("/invoices/{number}", dependencies=_READS_USAGE, responses=problems(404))
def get_invoice(project: str, number: Number, hub: Hub) -> InvoiceAnswer:
    """One invoice."""
    return InvoiceAnswer.of(hub.invoices.get(project, number))


@router.get(
    "/invoices/{number}/pdf",
    dependencies=_READS_USAGE,
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}, **problems(404, 501)},
)
def get_invoice_pdf(project: str, number: Number, hub: Hub) -> Response:
    """One invoice, to send to a customer."""
    return Response(invoice_pdf(hub.invoices.get(project, number)), media_type="application/pdf")


@router.get(
    "/invoices/{number}/csv",
    dependencies=_READS_USAGE,
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}, **problems(404)},
)
def get_invoice_csv(project: str, number: Number, hub: Hub) -> Response:
    """One invoice, a line a row."""
    return Response(invoice_csv(hub.invoices.get(project, number)), media_type="text/csv; charset=utf-8")


@router.post("/invoices/{number}/counter", status_code=HTTPStatus.CREATED, responses=problems(404, 409))
def counter_invoice(project: str, number: Number, body: CounterBody, who: Biller, hub: Hub) -> InvoiceAnswer:
    """Take an invoice back, by one with the opposite sign; its usage is to be invoiced again."""
    return InvoiceAnswer.of(hub.invoices.counter(project, number, body.reason, who.key_id))


@router.get("/credits", dependencies=_READS_USAGE, responses=problems(404))
def list_credits(project: str, hub: Hub) -> Credits:
    """What is left of the project's credits."""
    return Credits.of(hub.invoices.credits(project))


@router.post("/credits", status_code=HTTPStatus.CREATED, responses=problems(404))
def give_credit(project: str, body: CreditBody, who: Biller, hub: Hub) -> Credits:
    """Give the project money, which its next invoices use up."""
    hub.invoices.credit(project, body.currency, body.amount, body.reason, who.key_id)
    return Credits.of(hub.invoices.credits(project))


@router.put("/billing-address", status_code=HTTPStatus.NO_CONTENT, responses=problems(404))
def put_billing_address(project: str, body: AddressBody, who: Biller, hub: Hub) -> None:
    """Say to whom the project's next invoices go."""
    hub.invoices.address(project, body.address, who.key_id)
