"""A mask over an array of text says of every value what the same mask says of that value alone."""

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.masking.masks import Generalise, Mask, Partial, Pseudonym, Redact, Step
from app.masking.values import text_masker
from app.objects.arrow_masks import text_array_masker

KEYS = {"people": b"k" * 32}
MASKS: tuple[Mask, ...] = (
    Partial(email=True),
    Partial(keep_last=0),
    Partial(keep_last=1),
    Partial(keep_last=4),
    Generalise(step=Step.PREFIX, size=0),
    Generalise(step=Step.PREFIX, size=2),
    Generalise(step=Step.YEAR),
    Generalise(step=Step.MONTH),
    Generalise(step=Step.BUCKET, size=10),
    Pseudonym(domain="people"),
    Redact(),
)
LONG = "x" * 999
TEXTS = st.lists(
    st.one_of(
        st.none(),
        st.text("a@é\0 \n𝒳", max_size=12),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        st.sampled_from(["ada@example.org", "2026-02-03", "-17", "3.50", LONG + "@", LONG + "é@", "@" + LONG]),
    ),
    max_size=12,
)


def redact(text: str) -> str:
    return text.replace("a", "[…]")


@given(texts=TEXTS, mask=st.sampled_from(MASKS), cut=st.integers(0, 3), large=st.booleans())
@example(texts=["a@b\0c"], mask=Partial(email=True), cut=0, large=False)
@example(texts=["a@b@c", "none", "@", "a@"], mask=Partial(email=True), cut=0, large=False)
@example(texts=["abcdefg\0h"], mask=Partial(keep_last=4), cut=0, large=False)
@example(texts=["ab\0cd", "ab"], mask=Generalise(step=Step.PREFIX, size=3), cut=0, large=False)
@example(texts=["a@b", LONG + "é@"], mask=Partial(email=True), cut=0, large=False)
@example(texts=[None, "a@b"], mask=Partial(email=True), cut=0, large=True)
def test_every_value_is_masked_as_it_would_be_alone(texts: list[str | None], mask: Mask, cut: int, large: bool) -> None:
    alone = text_masker(mask, KEYS, redact)
    array = pa.array(texts, pa.large_string() if large else pa.string()).slice(cut)
    masked = text_array_masker(mask, KEYS, redact)(array)
    masked.validate(full=True)
    assert masked.type == array.type
    assert masked.to_pylist() == [None if text is None else alone(text) for text in texts[cut:]]


@pytest.mark.parametrize("mask", MASKS, ids=repr)
def test_text_that_is_not_utf_8_is_never_masked_into_anything(mask: Mask) -> None:
    array = pa.array([b"a\xff@b", b"1234567\xff89"]).view(pa.string())
    with pytest.raises((pa.ArrowInvalid, UnicodeDecodeError)):
        text_array_masker(mask, KEYS, redact)(array)
