"""JSON that breaks careless readers: refused with the next step, or taken exactly."""

import json
from typing import Any

import pytest

from app.api.reading import MAX_DEPTH, query_command
from app.approval.approval import Outcome
from app.approval.digest import pending
from app.approval.terms import Terms
from app.gateway.admission import Admission
from app.gateway.approvals import ApprovalDesk, GetApproval, ListApprovals
from app.gateway.bulletin import Bulletin
from app.gateway.cursor import Cursors
from app.gateway.errors import InvalidRequest
from app.gateway.parameters import Binder, json_type
from app.gateway.record import Record
from app.secrets.mask_keys import NoMaskKeys
from app.sql.statement import JsonType, ParamBind
from tests.gateway.approval_fakes import MemoryApprovals, MemoryHeld, Policy, register
from tests.gateway.fakes import caller

HEADERS = {b"content-type": b"application/json"}


def params_of(value: str) -> dict[str, Any]:
    return dict(query_command("shop", f'{{"sql": "x", "params": {{"a": {value}}}}}'.encode(), HEADERS).params)


@pytest.mark.parametrize("depth", [MAX_DEPTH, 300, 480, 900, 1_000])
@pytest.mark.parametrize("first", ["", "1e300, "])
def test_deep_nesting_is_refused_by_the_reader_itself(depth: int, first: str) -> None:
    with pytest.raises(InvalidRequest):
        params_of(f"[{first}" + "[" * depth + "]" * depth + "]")


@pytest.mark.parametrize("value", [str(2**64), str(-(2**70)), "9" * 300, f'{{"b": [{2**80}]}}', f"[1, {2**64}]"])
def test_integers_of_any_size_arrive_exactly_and_can_be_bound(value: str) -> None:
    params = params_of(value)
    assert params == {"a": json.loads(value)}
    kind = json_type(params["a"])
    (bound,) = Binder(NoMaskKeys()).args((ParamBind(name="a", type=kind),), params)
    assert json.loads(bound) == params["a"] if kind is JsonType.JSON else bound == params["a"]


@pytest.mark.parametrize(
    ("items", "kind"),
    [
        ([], JsonType.TEXT_ARRAY),
        ([None], JsonType.TEXT_ARRAY),
        (["a", None], JsonType.TEXT_ARRAY),
        (["a"] * 3, JsonType.TEXT_ARRAY),
        ([1, 2], JsonType.INT_ARRAY),
        ([1, 2**64], JsonType.NUMERIC_ARRAY),
        ([1, True], JsonType.JSON),
        ([True, False], JsonType.BOOL_ARRAY),
        ([1.5, 2.5], JsonType.NUMERIC_ARRAY),
        ([{"a": 1}], JsonType.JSON),
        ([[1]], JsonType.JSON),
    ],
)
def test_a_list_has_the_type_of_its_items(items: list[Any], kind: JsonType) -> None:
    assert json_type(items) is kind


async def test_an_approval_with_integers_beyond_64_bits_does_not_break_the_list_it_is_in() -> None:
    approval = pending(
        random=b"\1" * 16,
        created_at="2026-01-01T00:00:00.000000Z",
        expires_at="2026-01-02T00:00:00.000000Z",
        caller=caller(),
        connection="shop",
        action="delete",
        resources=("shop/main.t",),
        reasons=(),
        statement="DELETE FROM t WHERE id = :n",
        params={"n": 2**70},
        unmask=(),
        purpose=None,
        policy_version="v1",
        terms=Terms(),
        outcome=Outcome(kind="write"),
    )
    approvals = MemoryApprovals()
    approvals.put(approval)
    desk = ApprovalDesk(
        register=register(approvals, Policy()),
        approvals=approvals,
        held=MemoryHeld(),
        bulletin=Bulletin(approvals),
        cursors=Cursors(b"k" * 32),
        public_url="http://gateway.test",
        admission=Admission(now=lambda: 0.0, withdrawn=lambda _: False),
    )
    record = Record(operation="list_approvals", method="GET", path="/v1/approvals", trace_id="0", started=0.0)
    listed = await desk.list_approvals(caller(), ListApprovals(limit=10), record)
    got = await desk.get_approval(caller(), GetApproval(approval_id=approval.approval_id), record)
    for answer in (listed, got):
        assert f'"n":"{2**70}"'.encode() in b"".join(answer.opening.pieces())
