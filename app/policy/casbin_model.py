"""pycasbin loads model.conf and the rules, resolves roles, and is the reference that the compiled index must equal.

It walks every rule for every question, so the hot path never calls it (see index.py).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import casbin
from casbin.effect import Effector
from casbin.model import Model
from casbin.persist import Adapter

from app.policy.caller import Caller
from app.policy.conditions import Condition
from app.policy.decision import Context, Effect
from app.policy.findings import Finding
from app.policy.resources import covers
from app.policy.rules import Link, Rule, Rules

MODEL_FILE = "model.conf"
MAX_ROLE_HOPS = 9
"""pycasbin looks no further up a role hierarchy."""

MODEL = """\
[request_definition]
r = sub, obj, act, ctx

[policy_definition]
p = sub, obj, act, eft, when

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = (p.sub == '*' || g(r.sub, p.sub)) && covers(p.obj, r.obj) && (p.act == '*' || p.act == r.act) \\
    && holds(p.sub, p.obj, p.act, p.eft, p.when, r.ctx)
"""
"""The one model that the index is compiled for."""


class _EveryRule(Effector):  # type: ignore[misc]
    """Never ends early: a decision names every rule that matched."""

    def intermediate_effect(self, effects: set[int]) -> int:
        return int(Effector.INDETERMINATE)

    def final_effect(self, effects: set[int]) -> int:
        return int(Effector.ALLOW if Effector.ALLOW in effects and Effector.DENY not in effects else Effector.DENY)


class _InMemory(Adapter):  # type: ignore[misc]
    """Fills the model directly; adding policies one by one is quadratic."""

    def __init__(self, rules: Iterable[Rule], links: Iterable[Link]) -> None:
        self._rules = rules
        self._links = links

    def load_policy(self, model: Model) -> None:
        model.model["p"]["p"].policy = [list(rule.fields) for rule in self._rules]
        model.model["g"]["g"].policy = [[link.member, link.role] for link in self._links]


class _Question:
    """Travels as `r.ctx` and collects what matched."""

    def __init__(self, caller: Caller, context: Context) -> None:
        self.caller = caller
        self.context = context
        self.matched: set[tuple[str, str, str, str, str]] = set()


class Reference:
    """Plain pycasbin over one policy."""

    def __init__(self, rules: Rules, model_text: str = MODEL) -> None:
        self._conditions: Mapping[str, Condition] = {
            rule.condition.text: rule.condition for rule in rules.rules if rule.condition is not None
        }
        self._enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model_text))
        self._enforcer.set_effector(_EveryRule())
        self._enforcer.add_function("covers", covers)
        self._enforcer.add_function("holds", self._holds)
        # After the constructor: it logs the whole policy until pycasbin's loggers are off.
        self._enforcer.set_adapter(_InMemory(rules.rules, rules.links))
        self._enforcer.load_policy()

    def _holds(self, sub: str, obj: str, act: str, eft: str, when: str, question: _Question) -> bool:
        if when and not self._conditions[when].matches(Effect(eft), question.caller, question.context):
            return False
        question.matched.add((sub, obj, act, eft, when))
        return True

    def matching(
        self, caller: Caller, subjects: Iterable[str], resource: str, action: str, context: Context
    ) -> frozenset[tuple[str, str, str, str, str]]:
        """The fields of every rule that matches any of the subjects."""
        question = _Question(caller, context)
        for subject in subjects:
            self._enforcer.enforce(subject, resource, action, question)
        return frozenset(question.matched)

    def roles_of(self, members: Iterable[str]) -> dict[str, frozenset[str]]:
        """Each member with every role it has, through roles of roles."""
        manager: Any = self._enforcer.get_role_manager()
        closed: dict[str, frozenset[str]] = {}
        for member in members:
            seen: set[str] = set()
            edge = [member]
            while edge:
                nearer = [role for name in edge for role in manager.get_roles(name) if role not in seen]
                seen.update(nearer)
                edge = list(dict.fromkeys(nearer))
            closed[member] = frozenset(seen)
        return closed


def check_model(data: bytes, findings: list[Finding]) -> None:
    """model.conf says what pycasbin is to do; another meaning than the shipped one is refused, never half obeyed."""
    try:
        written = _definitions(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        findings.append(Finding(file=MODEL_FILE, line=1, column=1, what="not UTF-8", expected="a file in UTF-8"))
        return
    wanted = _definitions(MODEL)
    for section, (_, value) in wanted.items():
        line, found = written.get(section, (1, ""))
        if found != value:
            findings.append(
                Finding(
                    file=MODEL_FILE,
                    line=line,
                    column=1,
                    what=f"{section} differs from the model that decisions are compiled for",
                    expected=value,
                )
            )
    findings.extend(
        Finding(
            file=MODEL_FILE,
            line=written[section][0],
            column=1,
            what=f"unknown definition {section}",
            expected=", ".join(wanted),
        )
        for section in sorted(written.keys() - wanted.keys())
    )


def _definitions(text: str) -> dict[str, tuple[int, str]]:
    """`section/key` to (line, value with white space folded)."""
    section, begun, found = "", "", {}
    first = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not begun:
            first = number
            if not line or line[0] in "#;":
                continue
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
                continue
        begun += line
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        key, _, value = begun.partition("=")
        found[f"{section}/{key.strip()}"] = (first, " ".join(value.split()))
        begun = ""
    if begun:
        found[f"{section}/{begun.strip()}"] = (first, "")
    return found


def check_roles(links: Iterable[Link], file: str, findings: list[Finding]) -> None:
    """No circles, and no chain longer than pycasbin follows."""
    parents: dict[str, list[Link]] = {}
    for link in links:
        parents.setdefault(link.member, []).append(link)
    heights: dict[str, int] = {}
    open_names: set[str] = set()

    def fault(link: Link, what: str) -> None:
        findings.append(
            Finding(file=file, line=link.line, column=1, what=what, expected=f"at most {MAX_ROLE_HOPS} roles in a row")
        )

    for start in parents:
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            name, at = stack.pop()
            above = parents.get(name, [])
            if name in heights:
                continue
            open_names.add(name)
            if at < len(above):
                role = above[at].role
                if role in open_names:
                    fault(above[at], f"roles in a circle: {name} and {role}")
                    return
                stack.append((name, at + 1))
                if role not in heights:
                    stack.append((role, 0))
                continue
            open_names.discard(name)
            heights[name] = max((heights[link.role] + 1 for link in above), default=0)
            if heights[name] > MAX_ROLE_HOPS:
                fault(above[0], f"{name} has its last role through too many others")
                return
