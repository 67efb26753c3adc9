"""Which labels come raw in one answer, which of them a human is asked for, and which the request may not have."""

from collections.abc import Callable, Collection

from app.policy.decision import Allow, AskFirst, Decision, Deny, Effect, RuleRef


class Unmasking:
    """Of one caller and one question. `decide` says what policy says of unmasking a label; every answer is kept.
    `unmask`: the labels that the request names. `granted`: as if a human had said yes to what waits for one."""

    def __init__(self, decide: Callable[[str], Decision], unmask: Collection[str], *, granted: bool) -> None:
        self._decide = decide
        self._decisions: dict[str, Decision] = {}
        self._unmask = unmask
        self._granted = granted
        self._asked: set[str] = set()
        self.refused = tuple(sorted(label for label in set(unmask) if isinstance(self._decided(label), Deny)))

    def comes_raw(self, label: str) -> bool:
        match self._decided(label):
            case Allow():
                return True
            case AskFirst() if label in self._unmask:
                # Noted where it is looked at: a column without the label may be made of one that has it.
                self._asked.add(label)
                return self._granted
            case _:
                return False

    @property
    def asked(self) -> tuple[str, ...]:
        """Labels that `comes_raw` was asked for and that wait for a human."""
        return tuple(sorted(self._asked))

    @property
    def asks(self) -> tuple[RuleRef, ...]:
        return tuple(
            rule
            for decision in map(self._decided, self.asked)
            if isinstance(decision, AskFirst)
            for rule in decision.rules
            if rule.effect is Effect.APPROVE
        )

    def _decided(self, label: str) -> Decision:
        if label not in self._decisions:
            self._decisions[label] = self._decide(label)
        return self._decisions[label]
