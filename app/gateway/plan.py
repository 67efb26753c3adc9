"""What is known of a statement once it was planned: what policy decided, what would run, how its answer begins."""

from dataclasses import dataclass, field

import orjson

from app.gateway.deciding import Asked, Wanted
from app.gateway.rows import RowEncoder
from app.policy.decision import Action, Context, Decision
from app.sql.statement import OutputColumn, Rewritten, RewrittenWrite
from connectors.contract import Limits, ResultColumn, TableKey

MAX_RESULT_SHAPES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Of `rewritten` (reads) and `write` one is there, or neither when it is denied. `wants_estimate`: some condition
    reads the planner's row estimate, so the decision is made per request. `asked`: what a human has to allow; labels
    among it come raw in what would run."""

    action: Action
    kind: str
    wanted: Wanted
    resources: tuple[str, ...]
    tables: tuple[TableKey, ...]
    decision: Decision
    asked: Asked
    wants_estimate: bool
    context: Context
    rewritten: Rewritten | None
    write: RewrittenWrite | None
    labels: tuple[str, ...]
    masks: tuple[str, ...]
    max_rows: int | None
    max_bytes: int | None
    tells_counts: bool
    """Of a write: the caller may hear what it would touch before it ran for good."""
    row_filtered: bool
    names_hidden: bool
    """The SQL that runs names columns that the caller may not know of."""
    masked: bool
    """Some column of some table touched is masked, whether or not the statement names it."""
    policy_version: str
    rule_names: tuple[str, ...]
    """The rules that the decision rests on, as the audit trail names them."""
    openings: dict[tuple[ResultColumn, ...], tuple[bytes, RowEncoder]] = field(default_factory=dict, compare=False)
    limits: dict[int | None, Limits] = field(default_factory=dict, compare=False)
    """By the rows that a request wants at most; filled by the use case."""

    def opening(self, columns: tuple[ResultColumn, ...], *, dynamic: bool) -> tuple[bytes, RowEncoder]:
        """What an answer begins with (columns: name, type, label, mask), and the encoder of its rows; made once per
        plan and shape of result."""
        known = self.openings.get(columns)
        if known is None:
            described = orjson.dumps(
                [_column(c, output) for c, output in zip(columns, self._outputs(columns), strict=True)]
            )
            if len(self.openings) >= MAX_RESULT_SHAPES:
                # SQLite names a column after its expression, literals included.
                self.openings.clear()
            opening = b'{"status":"completed","columns":' + described + b',"rows":['
            known = (opening, RowEncoder(columns, dynamic=dynamic))
            self.openings[columns] = known
        return known

    def _outputs(self, columns: tuple[ResultColumn, ...]) -> tuple[OutputColumn, ...]:
        runs = self.rewritten or self.write
        outputs = None if runs is None else runs.outputs
        if outputs is not None and len(outputs) == len(columns):
            return outputs
        return (OutputColumn(labels=self.labels, masks=self.masks),) * len(columns)


def _column(column: ResultColumn, output: OutputColumn) -> dict[str, str | None]:
    return {
        "name": column.name,
        "type": column.type,
        "label": ", ".join(output.labels) or None,
        "mask": ", ".join(output.masks) or None,
    }
