"""The parse tree by allowlist: every message, field and enum value that a statement may have. Anything else refuses.

A rule of a field is SCALAR (any plain value), NODE, NODES, the set of allowed enum values, the rules of a plain
message, or the name of the method of the reader that takes the value over.
"""

from typing import Any, Final

from postgast import pg_query_pb2 as pb

Rule = Any
Rules = dict[str, Rule]

SCALAR: Final = 1
NODE: Final = 2
NODES: Final = 3


def _except(enum: Any, *refused: str) -> frozenset[int]:
    return frozenset(number for name, number in enum.items() if name not in refused and not name.endswith("_UNDEFINED"))


def _only(enum: Any, *allowed: str) -> frozenset[int]:
    return frozenset(enum.Value(name) for name in allowed)


ALIAS: Final[Rules] = {"aliasname": SCALAR, "colnames": NODES}
_JSON_FORMAT: Final[Rules] = {"format_type": SCALAR, "encoding": SCALAR}
_JSON_OUTPUT: Final[Rules] = {"type_name": "type_name", "returning": {"format": _JSON_FORMAT}}
_JSON_VALUE: Final[Rules] = {"raw_expr": NODE, "format": _JSON_FORMAT}
_WINDOW: Final[Rules] = {
    "name": SCALAR,
    "refname": SCALAR,
    "partition_clause": NODES,
    "order_clause": NODES,
    "frame_options": SCALAR,
    "start_offset": NODE,
    "end_offset": NODE,
}
_JSON_AGGREGATE: Final[Rules] = {"output": _JSON_OUTPUT, "agg_filter": NODE, "agg_order": NODES, "over": _WINDOW}

EXPRESSIONS: Final[dict[str, Rules]] = {
    "string": {"sval": SCALAR},
    "integer": {"ival": SCALAR},
    "a_star": {},
    "list": {"items": NODES},
    "a_const": {"ival": SCALAR, "fval": "number", "boolval": SCALAR, "sval": SCALAR, "bsval": SCALAR, "isnull": SCALAR},
    "a_expr": {
        "kind": _except(pb.A_Expr_Kind),
        "name": "operator",
        "lexpr": NODE,
        "rexpr": NODE,
        "rexpr_list_start": SCALAR,
        "rexpr_list_end": SCALAR,
    },
    "a_indices": {"is_slice": SCALAR, "lidx": NODE, "uidx": NODE},
    "a_indirection": {"arg": NODE, "indirection": "indirection"},
    "a_array_expr": {"elements": NODES, "list_start": SCALAR, "list_end": SCALAR},
    "bool_expr": {"boolop": _except(pb.BoolExprType), "args": NODES},
    "boolean_test": {"arg": NODE, "booltesttype": _except(pb.BoolTestType)},
    "null_test": {"arg": NODE, "nulltesttype": _except(pb.NullTestType)},
    "case_expr": {"arg": NODE, "args": NODES, "defresult": NODE},
    "case_when": {"expr": NODE, "result": NODE},
    "coalesce_expr": {"args": NODES},
    "min_max_expr": {"op": _except(pb.MinMaxOp), "args": NODES},
    "collate_clause": {"arg": NODE, "collname": "collation"},
    "row_expr": {"args": NODES, "row_format": SCALAR},
    "named_arg_expr": {"arg": NODE, "name": SCALAR, "argnumber": SCALAR},
    "sub_link": {
        "sub_link_type": _except(pb.SubLinkType, "MULTIEXPR_SUBLINK", "CTE_SUBLINK"),
        "testexpr": NODE,
        "oper_name": "operator",
        "subselect": NODE,
    },
    "sqlvalue_function": {
        "op": _except(
            pb.SQLValueFunctionOp,
            "SVFOP_CURRENT_ROLE",
            "SVFOP_CURRENT_USER",
            "SVFOP_USER",
            "SVFOP_SESSION_USER",
            "SVFOP_CURRENT_CATALOG",
            "SVFOP_CURRENT_SCHEMA",
        ),
        "typmod": SCALAR,
    },
    "sort_by": {
        "node": NODE,
        "sortby_dir": _except(pb.SortByDir),
        "sortby_nulls": _except(pb.SortByNulls),
        "use_op": "operator",
    },
    "grouping_set": {"kind": _except(pb.GroupingSetKind), "content": NODES},
    "grouping_func": {"args": NODES},
    "window_def": _WINDOW,
    "type_cast": {"arg": NODE, "type_name": "type_name"},
    "func_call": {
        "funcname": SCALAR,
        "args": NODES,
        "agg_order": NODES,
        "agg_filter": NODE,
        "over": _WINDOW,
        "agg_within_group": SCALAR,
        "agg_star": SCALAR,
        "agg_distinct": SCALAR,
        "func_variadic": SCALAR,
        "funcformat": SCALAR,
    },
}
"""Nodes that any server has. `func_call`, `type_cast` and others have a method of the reader besides."""

NEWER: Final[dict[str, tuple[int, Rules]]] = {
    "json_object_constructor": (
        160000,
        {"exprs": NODES, "output": _JSON_OUTPUT, "absent_on_null": SCALAR, "unique": SCALAR},
    ),
    "json_array_constructor": (160000, {"exprs": NODES, "output": _JSON_OUTPUT, "absent_on_null": SCALAR}),
    "json_array_query_constructor": (
        160000,
        {"query": NODE, "output": _JSON_OUTPUT, "format": _JSON_FORMAT, "absent_on_null": SCALAR},
    ),
    "json_object_agg": (
        160000,
        {
            "constructor": _JSON_AGGREGATE,
            "arg": {"key": NODE, "value": _JSON_VALUE},
            "absent_on_null": SCALAR,
            "unique": SCALAR,
        },
    ),
    "json_array_agg": (160000, {"constructor": _JSON_AGGREGATE, "arg": _JSON_VALUE, "absent_on_null": SCALAR}),
    "json_key_value": (160000, {"key": NODE, "value": _JSON_VALUE}),
    "json_value_expr": (160000, _JSON_VALUE),
    "json_is_predicate": (160000, {"expr": NODE, "format": _JSON_FORMAT, "item_type": SCALAR, "unique_keys": SCALAR}),
    "json_parse_expr": (170000, {"expr": _JSON_VALUE, "output": _JSON_OUTPUT, "unique_keys": SCALAR}),
    "json_scalar_expr": (170000, {"expr": NODE, "output": _JSON_OUTPUT}),
    "json_serialize_expr": (170000, {"expr": _JSON_VALUE, "output": _JSON_OUTPUT}),
}
"""Nodes with the first server version that understands them."""

SELECT: Final[Rules] = {
    "distinct_clause": NODES,
    "group_clause": NODES,
    "group_distinct": SCALAR,
    "having_clause": NODE,
    "where_clause": NODE,
    "window_clause": NODES,
    "sort_clause": NODES,
    "limit_offset": NODE,
    "limit_count": NODE,
    "values_lists": NODES,
    "limit_option": _except(pb.LimitOption),
    "op": _except(pb.SetOperation),
    "all": SCALAR,
    # These come first, in this order, by the reader's own hand.
    "with_clause": SCALAR,
    "from_clause": SCALAR,
    "target_list": SCALAR,
    "larg": SCALAR,
    "rarg": SCALAR,
}
RETURNING: Final[Rules] = {"exprs": SCALAR}
RESULT: Final[Rules] = {"name": SCALAR, "val": NODE}
RANGE_VAR: Final[Rules] = {
    "schemaname": SCALAR,
    "relname": SCALAR,
    "inh": SCALAR,
    "relpersistence": SCALAR,
    "alias": ALIAS,
}
RANGE_SUBSELECT: Final[Rules] = {"lateral": SCALAR, "subquery": SCALAR, "alias": ALIAS}
RANGE_FUNCTION: Final[Rules] = {
    "lateral": SCALAR,
    "ordinality": SCALAR,
    "is_rowsfrom": SCALAR,
    "functions": NODES,
    "alias": ALIAS,
    "coldeflist": SCALAR,
}
JOIN: Final[Rules] = {
    "jointype": _only(pb.JoinType, "JOIN_INNER", "JOIN_LEFT", "JOIN_FULL", "JOIN_RIGHT"),
    "is_natural": SCALAR,
    "larg": SCALAR,
    "rarg": SCALAR,
    "using_clause": NODES,
    "join_using_alias": ALIAS,
    "quals": SCALAR,
    "alias": ALIAS,
}
WITH: Final[Rules] = {"ctes": SCALAR, "recursive": SCALAR}
CTE: Final[Rules] = {
    "ctename": SCALAR,
    "aliascolnames": NODES,
    "ctematerialized": _except(pb.CTEMaterialize),
    "ctequery": SCALAR,
    "search_clause": {"search_col_list": NODES, "search_breadth_first": SCALAR, "search_seq_column": SCALAR},
    "cycle_clause": {
        "cycle_col_list": NODES,
        "cycle_mark_column": SCALAR,
        "cycle_mark_value": NODE,
        "cycle_mark_default": NODE,
        "cycle_path_column": SCALAR,
    },
}
COLUMN_DEFINITION: Final[Rules] = {
    "colname": SCALAR,
    "type_name": "type_name",
    "is_local": SCALAR,
    "coll_clause": {"collname": "collation"},
}

LOCATIONS: Final = frozenset({"location", "stmt_location", "stmt_len"})

WHAT: Final = {
    "into_clause": "SELECT INTO is not allowed. Leave INTO out: the rows come back in the answer.",
    "locking_clause": "Row locks (FOR UPDATE, FOR SHARE) are not allowed. Leave the clause out.",
    "range_table_sample": "TABLESAMPLE is not allowed. Use WHERE random() < 0.01, or LIMIT.",
    "xml_expr": "XML expressions are not allowed. Use json functions.",
    "xml_serialize": "XML expressions are not allowed. Use json functions.",
    "range_table_func": "XMLTABLE is not allowed. Use json functions.",
    "json_table": "JSON_TABLE is not allowed. Use jsonb_to_recordset or jsonb_path_query.",
    "json_func_expr": "JSON_VALUE, JSON_QUERY and JSON_EXISTS are not allowed. Use -> ->> or jsonb_path_query.",
    "set_to_default": "DEFAULT is not allowed here.",
    "sqlvalue_function": "The session's user, catalog and schema are not available here. Leave them out.",
    "catalogname": "Three-part table names are not allowed. Write schema.table.",
}


def refusal_of(name: str) -> str:
    return WHAT.get(name) or f"The construct {name.replace('_', ' ')!r} is not allowed. Write the query without it."
