"""Masks over arrays of text: by Arrow, where it can say what app.masking.values says of each value, and otherwise over
each value that an array holds."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.masking.masks import Generalise, Mask, Partial, Step
from app.masking.values import LONGEST_ADDRESS, Redactor, text_masker
from app.objects.repeating import over_columns

_NUL = "\0"


def text_array_masker(mask: Mask, keys: Mapping[str, bytes], redact: Redactor) -> Callable[[pa.Array], pa.Array]:
    """text_masker over arrays of strings, large ones or not; null stays null. The function raises ArrowInvalid or
    UnicodeDecodeError for text that is not UTF-8."""
    many = over_columns(mask, text_masker(mask, keys, redact))

    def masked(array: pa.Array) -> pa.Array:
        whole = _whole(mask, array)
        if whole is not None:
            return whole
        # No value is in its dictionary twice, and no null.
        encoded = array.dictionary_encode()
        return pa.array(many(encoded.dictionary.to_pylist()), array.type).take(encoded.indices)

    return masked


def array_keeper(mask: Mask, redact: Redactor) -> Callable[[pa.Array], pa.Array]:
    """Over arrays of numbers or bytes: what a redactor would change is null, every other value stays as it is."""

    def is_kept(value: Any) -> bool:
        written = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        return redact(written) == written

    many = over_columns(mask, is_kept)

    def kept(array: pa.Array) -> pa.Array:
        encoded = array.dictionary_encode()
        stays = pa.array(many(encoded.dictionary.to_pylist()), pa.bool_()).take(encoded.indices)
        return pc.if_else(stays, array, pa.scalar(None, array.type))

    return kept


def _whole(mask: Mask, array: pa.Array) -> pa.Array | None:
    """None: not this mask, or not these values, and each has to be masked by itself."""
    match mask:
        case Partial(email=True):
            return _emails(array) if _is_ordinary(array, LONGEST_ADDRESS) else None
        case Partial(keep_last=keep_last) if keep_last > 0:
            return _last(array, keep_last) if _is_ordinary(array) else None
        case Generalise(step=Step.PREFIX, size=size) if size > 0:
            return pc.utf8_slice_codeunits(array, 0, size) if _is_ordinary(array) else None
        case _:
            return None


def _is_ordinary(array: pa.Array, longest: int | None = None) -> bool:
    """Masks have rules of their own for values with a NUL character and for addresses that are too long (counted in
    characters; in bytes here, which only sends more of them the slow way)."""
    array.validate(full=True)
    if longest is not None and (pc.max(pc.binary_length(array)).as_py() or 0) > longest:
        return False
    return not pc.any(pc.match_substring(array, _NUL)).as_py()


def _emails(array: pa.Array) -> pa.Array:
    stars, at = pa.scalar("***", array.type), pa.scalar("@", array.type)
    is_address = pc.match_substring(array, "@")
    parts = pc.split_pattern(pc.if_else(is_address, array, at), "@", max_splits=1, reverse=True)
    return pc.if_else(is_address, pc.binary_join_element_wise(stars, pc.list_element(parts, 1), at), stars)


def _last(array: pa.Array, keep_last: int) -> pa.Array:
    stars, nothing = pa.scalar("***", array.type), pa.scalar("", array.type)
    is_long = pc.greater_equal(pc.utf8_length(array), 2 * keep_last)
    end = pc.utf8_slice_codeunits(array, -keep_last)
    return pc.if_else(is_long, pc.binary_join_element_wise(stars, end, nothing), stars)
