"""explain_sql: what would happen to a statement, without running it."""

from typing import Any

from app.approval.terms import Terms
from app.gateway.answer import Answer, json_answer
from app.gateway.command import QueryCommand
from app.gateway.errors import Refused, StatementNotAllowed, TableNotFound
from app.gateway.plan import Plan
from app.gateway.record import Record
from app.gateway.statements import Statements
from app.policy.caller import Caller
from app.policy.decision import Action, Allow, AskFirst, Deny, RuleRef
from app.ports import Policies


class Explain:
    def __init__(self, *, statements: Statements, policies: Policies) -> None:
        self._statements = statements
        self._policies = policies

    async def explain(self, caller: Caller, command: QueryCommand, record: Record) -> Answer:
        snapshot = self._policies.current
        connection = self._statements.find(caller, command.connection, snapshot, record)
        try:
            plan = await self._statements.plan(connection, caller, snapshot, command, record)
        except (StatementNotAllowed, TableNotFound) as refused:
            record.effect = "deny"
            return json_answer(200, _refusal_explained(refused, snapshot.version))
        record.effect, record.rules = _effect(plan), plan.rule_names
        denied = isinstance(plan.decision, Deny)
        runs = None if denied else plan.rewritten or plan.write
        estimate = None
        # The planner counts rows that a row filter hides, and distinct values that a mask hides or hid until a human
        # said yes: no estimate there.
        if not denied and plan.rewritten and not (plan.row_filtered or plan.masked or plan.wanted.asked_labels):
            estimate = await self._statements.estimate(connection, command, plan)
        return json_answer(
            200,
            {
                "effect": _effect(plan),
                "action": plan.action.value,
                "rules": [rule_document(rule) for rule in plan.decision.rules],
                "resources": plan.resources,
                "rewritten_sql": None if runs is None or plan.names_hidden else runs.sql,
                "masked_labels": plan.labels if plan.masks else (),
                "masks": plan.masks,
                "row_filtered": plan.row_filtered,
                "estimated_rows": estimate,
                "approval": terms_document(snapshot.terms(plan.asked)) if plan.asked else None,
                "code": "access_denied" if denied else None,
                "detail": plan.decision.reason if isinstance(plan.decision, Deny) else None,
                "suggestion": suggestion_of(plan, command) if denied else None,
                "policy_version": plan.policy_version,
            },
        )


def terms_document(terms: Terms) -> dict[str, Any]:
    """On which terms a human may say yes, for the one who has to ask."""
    return {
        "requirements": [
            {
                "approvers": each.approvers,
                "quorum": each.quorum,
                "escalate_after_seconds": each.escalate_after_s,
                "escalate_to": each.escalate_to,
            }
            for each in terms.requirements
        ],
        "expires_in_seconds": terms.lifetime_s,
        "grant": {
            "kind": terms.grant.kind.value,
            "duration_seconds": terms.grant.duration_s,
            "max_uses": terms.grant.max_uses,
            "max_rows": terms.grant.max_rows,
        },
        "preview": terms.preview,
    }


def rule_document(rule: RuleRef) -> dict[str, str | int | None]:
    return {
        "file": rule.file,
        "line": rule.line,
        "subject": rule.subject,
        "resource": rule.resource,
        "action": rule.action,
        "effect": rule.effect.value,
        "when": rule.when or None,
        "side": rule.side,
    }


def _effect(plan: Plan) -> str:
    match plan.decision:
        case Allow():
            return "allow"
        case AskFirst():
            return "approve"
        case Deny():
            return "deny"


def suggestion_of(plan: Plan, command: QueryCommand) -> str | None:
    if command.unmask:
        return "Repeat the request without `unmask`: masked values need no permission."
    if plan.action in (Action.UPDATE, Action.DELETE) and not plan.context.get("has_where"):
        return f"Add a WHERE clause to the {plan.kind}: rules often ask for one before a human may approve."
    return None


def _refusal_explained(refused: Refused, policy_version: str) -> dict[str, Any]:
    return {
        "effect": "deny",
        "action": None,
        "rules": [],
        "resources": [],
        "rewritten_sql": None,
        "masked_labels": [],
        "masks": [],
        "row_filtered": False,
        "estimated_rows": None,
        "approval": None,
        "code": refused.stable_code,
        "detail": refused.detail,
        "suggestion": refused.suggestion,
        "policy_version": policy_version,
    }
