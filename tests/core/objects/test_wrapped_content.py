import gzip
import io
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.objects.formats import Wrapping
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault
from app.objects.unwrapping import unwrapped
from app.policy.content import ContentView
from tests.core.objects.renderings import GZIP, NOTE, RAW, UNHURRIED, ZSTD, refusal, rendered, shown

VIEW = ContentView(columns={"id": RAW, "note": NOTE})
CONTENT = b"id,note\n" + b"".join(b"%d,note %d\n" % (n, n) for n in range(5_000))


def zstd(content: bytes, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(content)


def unzstd(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


def read_all(content: bytes, wrapping: Wrapping, step: int, limits: RenderLimits | None = None) -> bytes:
    source = unwrapped(io.BytesIO(content), wrapping, limits or RenderLimits())
    pieces = []
    while piece := source.read(step):
        assert len(piece) <= step
        pieces.append(piece)
    return b"".join(pieces)


@UNHURRIED
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(min_value=1, max_value=300))
def test_members_and_frames_one_after_the_other_are_one_content(parts: list[bytes], step: int) -> None:
    assert read_all(b"".join(map(gzip.compress, parts)), Wrapping.GZIP, step) == b"".join(parts)
    assert read_all(b"".join(map(zstd, parts)), Wrapping.ZSTD, step) == b"".join(parts)


def test_large_content_comes_in_bounded_steps() -> None:
    content = bytes(range(256)) * 100_000
    for wrapped, wrapping in ((gzip.compress(content), Wrapping.GZIP), (zstd(content), Wrapping.ZSTD)):
        assert read_all(wrapped, wrapping, 100_000, RenderLimits(max_ratio=100_000)) == content


@pytest.mark.parametrize("cut", [0, 1, 5, 100, 2_000, -9, -1])
@pytest.mark.parametrize("wrapping", [Wrapping.GZIP, Wrapping.ZSTD])
def test_content_that_is_cut_is_refused(cut: int, wrapping: Wrapping) -> None:
    wrapped = gzip.compress(CONTENT) if wrapping is Wrapping.GZIP else zstd(CONTENT)
    refused = refusal("csv", wrapped[:cut], VIEW, wrapping=wrapping)
    assert refused.code is ContentFault.TRUNCATED


@pytest.mark.parametrize("garbage", [b"\0", b"garbage", b"id,note\n"])
@pytest.mark.parametrize("wrapping", [Wrapping.GZIP, Wrapping.ZSTD])
def test_what_follows_the_compressed_content_is_refused(garbage: bytes, wrapping: Wrapping) -> None:
    wrapped = (gzip.compress(CONTENT) if wrapping is Wrapping.GZIP else zstd(CONTENT)) + garbage
    assert refusal("csv", wrapped, VIEW, wrapping=wrapping).code in (ContentFault.UNDECODABLE, ContentFault.TRUNCATED)


@pytest.mark.parametrize("wrapping", [Wrapping.GZIP, Wrapping.ZSTD])
def test_what_is_not_compressed_as_it_says_is_refused(wrapping: Wrapping) -> None:
    assert refusal("csv", CONTENT, VIEW, wrapping=wrapping).code is ContentFault.UNDECODABLE
    assert refusal("csv", zlib.compress(CONTENT), VIEW, wrapping=wrapping).code is ContentFault.UNDECODABLE


def test_a_wrong_checksum_is_refused() -> None:
    wrapped = bytearray(gzip.compress(CONTENT))
    wrapped[-6] ^= 1
    assert refusal("csv", bytes(wrapped), VIEW, **GZIP).code is ContentFault.UNDECODABLE


@pytest.mark.parametrize("wrapping", [Wrapping.GZIP, Wrapping.ZSTD])
def test_a_bomb_is_refused_before_it_expands(wrapping: Wrapping) -> None:
    content = b"id,note\n" + b"1,\n" * 30_000_000
    wrapped = gzip.compress(content, 9) if wrapping is Wrapping.GZIP else zstd(content, 19)
    assert refusal("csv", wrapped, VIEW, wrapping=wrapping).code is ContentFault.BOMB


def test_a_layer_below_the_first_is_no_format() -> None:
    assert refusal("csv", gzip.compress(gzip.compress(CONTENT)), VIEW, **GZIP).code is ContentFault.UNDECODABLE


def test_content_beyond_its_bounds_is_refused() -> None:
    assert refusal("csv", CONTENT, VIEW, RenderLimits(max_input_bytes=10_000)).code is ContentFault.TOO_LARGE
    assert refusal("csv", CONTENT, VIEW, RenderLimits(max_output_bytes=10_000)).code is ContentFault.TOO_LARGE
    limits = RenderLimits(max_expanded_bytes=10_000)
    assert refusal("csv", gzip.compress(CONTENT), VIEW, limits, **GZIP).code is ContentFault.BOMB


def test_a_rendering_is_wrapped_as_its_content_was() -> None:
    plain = shown("csv", CONTENT, VIEW)
    assert gzip.decompress(shown("csv", gzip.compress(CONTENT), VIEW, **GZIP)) == plain
    assert unzstd(shown("csv", zstd(CONTENT), VIEW, **ZSTD)) == plain


def test_how_twins_were_compressed_does_not_show() -> None:
    twin = CONTENT.replace(b"note ", b"an entirely different note ").replace(
        b"id,an entirely different note", b"id,note"
    )
    half = len(twin) // 2
    ways = (gzip.compress(CONTENT, 1), gzip.compress(twin, 9), gzip.compress(twin[:half]) + gzip.compress(twin[half:]))
    assert len({rendered("csv", way, VIEW, **GZIP)[1] for way in ways}) == 1
    assert shown("csv", zstd(CONTENT, 1), VIEW, **ZSTD) == shown("csv", zstd(twin, 19), VIEW, **ZSTD)
