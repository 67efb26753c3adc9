"""Which functions a statement may call.


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCREENED names count only while the catalog confirms that every overload on this server is harmless (immutable,
built in, no pseudo or object types). CURATED names fail that mechanical test for a reason that was looked at: they
read the clock, take `any`, or make json; none reads a file, a setting, the catalog, a sequence or a table.
"""

from functools import lru_cache

from connectors.contract import Catalog


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCREENED = _words(
    """
    abbrev abs acos acosd acosh area array_to_tsvector ascii asin asind asinh atan atan2 atan2d atand atanh avg
    bit bit_and bit_count bit_length bit_or bit_xor bool bool_and bool_or box broadcast btrim cbrt ceil ceiling
    center char_length character_length chr cidr circle corr cos cosd cosh cot cotd covar_pop covar_samp date_bin
    datemultirange daterange decode degrees diagonal diameter div encode every exp factorial family float4 float8
    floor gcd get_bit get_byte height host hostmask initcap int2 int4 int4multirange int4range int8 int8multirange
    int8range interval is_normalized isclosed isfinite ishorizontal isopen isparallel isperp isvertical
    json_array_elements json_array_elements_text json_array_length json_object json_object_keys json_strip_nulls
    json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_insert jsonb_object
    jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
    jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_typeof justify_days
    justify_hours justify_interval lcm left like_escape line ln log log10 lpad lseg ltrim macaddr macaddr8
    macaddr8_set7bit make_date make_interval make_time make_timestamp masklen md5 min_scale mod netmask network
    normalize npoints ntile numnode nummultirange numrange octet_length overlay path pclose percentile_cont
    pg_size_bytes pg_size_pretty pi point polygon popen position pow power quote_ident radians radius regexp_count
    regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
    regr_sxy regr_syy repeat replace reverse right round row_number rpad rtrim scale set_bit set_byte set_masklen
    setweight sha224 sha256 sha384 sha512 sign similar_escape similar_to_escape sin sind sinh slope split_part
    sqrt stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strip strpos substr substring
    sum tan tand tanh to_hex translate trim_scale trunc ts_delete ts_filter ts_rank ts_rank_cd tsmultirange
    tsrange tstzmultirange tstzrange tsvector_to_array unistr upper_inc var_pop var_samp varbit variance width
    to_bin to_oct erf erfc crc32 crc32c uuid_extract_timestamp uuid_extract_version reverse gamma lgamma casefold
    """
)

CURATED = _words(
    """
    count min max sum avg mode percentile_disc array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg
    json_agg_strict jsonb_agg_strict json_object_agg_strict json_object_agg_unique jsonb_object_agg_strict
    jsonb_object_agg_unique any_value range_agg range_intersect_agg rank dense_rank percent_rank cume_dist lag
    lead first_value last_value nth_value string_agg now transaction_timestamp statement_timestamp clock_timestamp
    timeofday age date_part date_trunc extract timezone overlaps to_char to_date to_timestamp to_number
    make_timestamptz date_add date_subtract date time timetz timestamp timestamptz text varchar bpchar numeric
    length lower upper concat concat_ws format quote_literal quote_nullable convert_from convert_to convert
    to_ascii starts_with like notlike textlike textnotlike substring trim round abs coalesce array_append
    array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_to_string array_upper cardinality trim_array unnest
    generate_series generate_subscripts array_sample array_shuffle array_reverse array_sort array_to_json to_json
    to_jsonb row_to_json json_build_array json_build_object jsonb_build_array jsonb_build_object json_each
    json_each_text jsonb_each jsonb_each_text json_extract_path json_extract_path_text jsonb_extract_path
    jsonb_extract_path_text json_to_record json_to_recordset jsonb_to_record jsonb_to_recordset jsonb_concat
    jsonb_delete jsonb_delete_path jsonb_exists jsonb_exists_any jsonb_exists_all jsonb_contains
    jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_tz jsonb_path_query_array_tz
    jsonb_path_query_first_tz random random_normal width_bucket num_nulls num_nonnulls isempty lower_inc upper_inc
    lower_inf upper_inf range_merge multirange inet_merge inet_same_family inet to_tsvector to_tsquery
    plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_headline tsquery_phrase querytree json_to_tsvector
    jsonb_to_tsvector int8 gen_random_uuid uuidv4 uuidv7
    """
)

TAKES_ANY = _words(
    """
    concat concat_ws format json_build_array json_build_object jsonb_build_array jsonb_build_object to_json
    to_jsonb count array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg num_nulls num_nonnulls
    quote_literal quote_nullable lag lead array_append array_prepend unnest length lower upper any_value min max
    """
)
"""Functions that give an untyped parameter no type; a text parameter says that it is text there."""

FIELDS = {
    "json_each": ("key", "value"),
    "json_each_text": ("key", "value"),
    "jsonb_each": ("key", "value"),
    "jsonb_each_text": ("key", "value"),
    "json_array_elements": ("value",),
    "json_array_elements_text": ("value",),
    "jsonb_array_elements": ("value",),
    "jsonb_array_elements_text": ("value",),
}
"""Column names of the allowed functions that name their columns themselves, whatever the alias."""

GROWS = _words(
    """
    repeat lpad rpad string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg array_fill replace
    regexp_replace concat concat_ws format array_cat array_to_string translate array_to_json to_json to_jsonb
    json_agg_strict jsonb_agg_strict json_object_agg_strict json_object_agg_unique jsonb_object_agg_strict
    jsonb_object_agg_unique overlay jsonb_set jsonb_insert range_agg jsonb_path_query_array ts_headline
    """
)
"""Functions that make values larger than any that is stored."""


def allowed_functions(catalog: Catalog) -> frozenset[str]:
    return _allowed(catalog.safe_functions)


@lru_cache(maxsize=64)
def _allowed(safe: frozenset[str]) -> frozenset[str]:
    return (SCREENED & safe) | CURATED
