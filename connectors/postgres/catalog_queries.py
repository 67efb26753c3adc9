"""The questions asked of pg_catalog. All are constant; every name is qualified, because search_path is empty.

`visible` is what every query starts from: relations outside the system schemas of which the role may read something.
"""

# ruff: noqa: S608 - constants joined to constants

_VISIBLE = """
WITH RECURSIVE visible AS (
  SELECT c.oid, c.relkind, c.relispartition, c.reltuples, c.relname, n.nspname
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    AND c.relpersistence <> 't'
    AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))
)
"""

RELATIONS = (
    _VISIBLE
    + """
SELECT oid, relkind::text, relispartition, reltuples::float8, nspname::text, relname::text FROM visible
"""
)

COLUMNS = (
    _VISIBLE
    + """
SELECT a.attrelid, a.attnum::int4, a.attname::text, pg_catalog.format_type(a.atttypid, NULL), a.attnotnull,
       CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
       a.attgenerated <> ''
FROM visible AS v
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
ORDER BY a.attrelid, a.attnum
"""
)

GENERATED = (
    _VISIBLE
    + """
SELECT d.attrelid, d.attnum::int4, s.refobjsubid
FROM visible AS v
JOIN pg_catalog.pg_attribute AS d ON d.attrelid = v.oid AND d.attgenerated <> ''
JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = d.attrelid AND f.adnum = d.attnum
JOIN pg_catalog.pg_depend AS s
  ON s.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.refobjid = d.attrelid AND s.refobjsubid <> d.attnum
 AND ((s.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND s.objid = f.oid)
   OR (s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.objid = d.attrelid AND s.objsubid = d.attnum))
"""
)

INDEXES = (
    _VISIBLE
    + """
SELECT i.indrelid, i.indexrelid, x.relname::text, i.indisunique OR i.indisexclusion, i.indisprimary,
       pg_catalog.string_to_array(i.indkey::text, ' ')::int4[], i.indexprs IS NOT NULL OR i.indpred IS NOT NULL,
       COALESCE(i.indexprs::text LIKE '%:varattno 0 %', false) OR COALESCE(i.indpred::text LIKE '%:varattno 0 %', false)
FROM visible AS v
JOIN pg_catalog.pg_index AS i ON i.indrelid = v.oid
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
"""
)

INDEX_EXPRESSIONS = (
    _VISIBLE
    + """
SELECT s.objid, s.refobjsubid
FROM visible AS v
JOIN pg_catalog.pg_index AS i ON i.indrelid = v.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
JOIN pg_catalog.pg_depend AS s
  ON s.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.objid = i.indexrelid
 AND s.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.refobjid = i.indrelid
"""
)

INHERITED_INDEXES = (
    _VISIBLE
    + """,
descendant (root, oid) AS (
  SELECT v.oid, h.inhrelid FROM visible AS v JOIN pg_catalog.pg_inherits AS h ON h.inhparent = v.oid
  UNION
  SELECT d.root, h.inhrelid FROM descendant AS d JOIN pg_catalog.pg_inherits AS h ON h.inhparent = d.oid
)
SELECT root, pg_catalog.min(name), columns, computed, "unique"
FROM (
  SELECT d.root, x.relname::text AS name, i.indisunique OR i.indisexclusion AS "unique",
         i.indexprs IS NOT NULL OR i.indpred IS NOT NULL AS computed,
         (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname)
          FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])) AS columns
  FROM descendant AS d
  JOIN pg_catalog.pg_index AS i ON i.indrelid = d.oid
  JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
) AS found
GROUP BY root, columns, computed, "unique"
"""
)
"""Indexes of partitions and inheriting tables: scanning the parent may use them, and writing to it meets their keys."""

CHECKS = (
    _VISIBLE
    + """,
relation (root, oid) AS (
  SELECT v.oid, v.oid FROM visible AS v
  UNION
  SELECT r.root, h.inhrelid FROM relation AS r JOIN pg_catalog.pg_inherits AS h ON h.inhparent = r.oid
)
SELECT DISTINCT r.root, (SELECT pg_catalog.array_agg(COALESCE(a.attname::text, '*') ORDER BY a.attname)
                FROM pg_catalog.unnest(k.conkey) AS o (num)
                LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = o.num AND o.num > 0)
FROM relation AS r
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid AND k.contype = 'c'
"""
)
"""The columns that each CHECK reads, those of partitions and inheriting tables included."""

KEYS = (
    _VISIBLE
    + """
SELECT k.conrelid, k.contype::text, k.conkey::int4[], n.nspname::text, c.relname::text,
       (SELECT pg_catalog.array_agg(a.attname::text ORDER BY o.place)
        FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS o (num, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = o.num)
FROM visible AS v
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = v.oid AND k.contype IN ('p', 'f')
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY k.conrelid, k.contype, k.conname
"""
)

VIEW_READS = """
SELECT DISTINCT r.ev_class, d.refobjid, d.refobjsubid
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_depend AS d
  ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
WHERE r.ev_type = '1' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND d.refobjid <> r.ev_class
"""

VIEW_WHOLE_ROWS = """
SELECT DISTINCT r.ev_class
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE r.ev_type = '1' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  AND r.ev_action::text LIKE '%:varattno 0 %'
"""
"""Views that use a whole row: pg_depend does not tell, as soon as they name any single column besides."""

VIEW_FUNCTIONS = """
SELECT DISTINCT r.ev_class
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
JOIN pg_catalog.pg_depend AS d
  ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
 AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
JOIN pg_catalog.pg_proc AS p ON p.oid = d.refobjid
WHERE r.ev_type = '1' AND p.oid >= 16384
"""

ALL_COLUMNS = """
SELECT a.attrelid, n.nspname::text, c.relname::text, c.relkind::text, a.attnum::int4, a.attname::text
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
"""

KNOWN_FUNCTIONS = "SELECT DISTINCT proname::text FROM pg_catalog.pg_proc"

SAFE_FUNCTIONS = """
WITH support AS (
  SELECT oprcode::oid AS oid FROM pg_catalog.pg_operator
  UNION SELECT oprrest::oid FROM pg_catalog.pg_operator
  UNION SELECT oprjoin::oid FROM pg_catalog.pg_operator
  UNION SELECT amproc::oid FROM pg_catalog.pg_amproc
  UNION SELECT amhandler::oid FROM pg_catalog.pg_am
  UNION SELECT aggtransfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggfinalfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggcombinefn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggserialfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggdeserialfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggmtransfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggminvtransfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT aggmfinalfn::oid FROM pg_catalog.pg_aggregate
  UNION SELECT prosupport::oid FROM pg_catalog.pg_proc
),
refused_type AS (
  SELECT t.oid FROM pg_catalog.pg_type AS t
  WHERE t.oid < 16384
    AND (t.typtype IN ('c', 'p')
      OR t.typname LIKE 'reg%'
      OR t.typname IN ('oid', 'oidvector', 'int2vector', 'cid', 'tid', 'xid', 'xid8', 'cstring', 'internal', 'aclitem',
                       'pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_ddl_command',
                       'pg_snapshot', 'txid_snapshot', 'pg_lsn', 'xml', 'refcursor', 'gtsvector',
                       'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary'))
),
refused (types) AS (
  SELECT pg_catalog.array_agg(t.oid) FROM pg_catalog.pg_type AS t
  WHERE t.oid IN (SELECT oid FROM refused_type)
     OR (t.oid < 16384 AND t.typcategory = 'A' AND t.typelem IN (SELECT oid FROM refused_type))
),
judged AS (
  SELECT p.proname::text AS name,
         p.oid < 16384
         AND NOT p.prosecdef
         AND l.lanname IN ('internal', 'sql')
         AND p.provolatile = 'i'
         AND p.prokind <> 'p'
         AND p.oid NOT IN (SELECT s.oid FROM support AS s WHERE s.oid IS NOT NULL)
         AND NOT (p.prorettype = ANY (r.types))
         AND NOT (COALESCE(p.proallargtypes, p.proargtypes::oid[]) && r.types) AS safe
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
  CROSS JOIN refused AS r
  WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
)
SELECT name FROM judged GROUP BY name HAVING pg_catalog.bool_and(safe)
"""
