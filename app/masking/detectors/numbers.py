"""Runs of digits and what stands between them: read once, offered to cards, telephone numbers and national ids."""

from itertools import pairwise

from app.masking.detectors.cards import MAX_DIGITS, card_score
from app.masking.detectors.national_ids import BY_SHAPE
from app.masking.detectors.page import Candidate, Page, pattern
from app.masking.detectors.phones import MAX_DIGITS as MAX_PHONE
from app.masking.detectors.phones import MIN_DIGITS as MIN_PHONE
from app.masking.detectors.phones import international, national, phone_word, prefix_of

# A date is taken first, so that it neither hides a number behind it nor passes for one.
_RUNS = pattern(
    rb"(?:(?:19|20)[0-9]{2}[-./](?:0[1-9]|1[0-2])[-./][0-3][0-9]|"
    rb"[0-3][0-9][-./](?:0[1-9]|1[0-2])[-./](?:19|20)[0-9]{2})(?:[^0-9]|$)|"
    rb"[0-9](?:[ ()./\-]{0,3}[0-9]){6,}"
)
_GROUPS = pattern(rb"[0-9]+")
_MOST_GROUPS = 7
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_TIGHT = frozenset(b"-/")


def numbers(page: Page, regions: tuple[str, ...]) -> list[Candidate]:
    """Every card, national id and telephone number among the digits of a page; they may overlap."""
    data = page.data
    out: list[Candidate] = []
    for match in _RUNS.finditer(data):
        start, end = match.span()
        run = data[start:end]
        if run.isdigit():
            if end - start <= MAX_DIGITS:
                _Run(page, [(start, end)], regions, out).read()
        elif end - start > 11 or run[-1:].isdigit():
            groups = [(start + a, start + b) for a, b in (m.span() for m in _GROUPS.finditer(run))]
            _Run(page, groups, regions, out).read()
    return out


class _Run:
    """Neighbouring groups of digits; each window of them is at most as long as the longest number."""

    def __init__(
        self, page: Page, groups: list[tuple[int, int]], regions: tuple[str, ...], out: list[Candidate]
    ) -> None:
        self._page, self._data = page, page.data
        self._groups = groups
        self._regions = regions
        self._out = out
        self._phone_until = 0
        """Behind the last telephone number; none begins within another."""

    def read(self) -> None:
        groups, data = self._groups, self._data
        loose = [True, *(_loose(data, a[1], b[0]) for a, b in pairwise(groups)), True]
        for first, (start, _) in enumerate(groups):
            if not loose[first] or not _free_before(data, start):
                if len(groups) == 1:
                    self._card_alone()
                continue
            lasts = []
            total = 0
            for last in range(first, min(first + _MOST_GROUPS, len(groups))):
                total += groups[last][1] - groups[last][0]
                if total > MAX_DIGITS:
                    break
                if total >= MIN_PHONE and loose[last + 1] and _free_behind(data, groups[last][1]):
                    lasts.append(last)
            if lasts:
                self._windows(first, lasts)
            elif len(groups) == 1:
                self._card_alone()

    def _windows(self, first: int, lasts: list[int]) -> None:
        """The longest first: a telephone number is not looked for in a shorter window of one that is valid."""
        start = self._groups[first][0]
        prefix = prefix_of(self._data, start)
        supported: bool | None = None
        for last in reversed(lasts):
            window = self._groups[first : last + 1]
            end = window[-1][1]
            shape = tuple(b - a for a, b in window)
            digits = b"".join([self._data[a:b] for a, b in window]).decode("ascii")
            self._card(start, end, digits, shape)
            for kind in BY_SHAPE.get(shape, ()):
                score = kind.score(self._page, start, end, digits, shape)
                if score:
                    self._out.append(Candidate("national_id", start, end, score))
            if start < self._phone_until or len(digits) > MAX_PHONE + 3:
                continue
            if supported is None:
                supported = phone_word(self._page, start)
            begin, exit_code = prefix or (start, 0)
            score = international(digits[exit_code:], supported, plus=not exit_code) if prefix else 0.0
            if not score and (supported or not first):
                # In the middle of other numbers, a number needs a word that says what it is.
                score = national(digits, shape, supported, self._regions)
            if score:
                if not prefix and self._data[start - 1 : start] == b"(" and b")" in self._data[start:end]:
                    begin = start - 1
                self._out.append(Candidate("phone", begin, end, score))
                if score > 0.6:
                    self._phone_until = end

    def _card(self, start: int, end: int, digits: str, shape: tuple[int, ...]) -> None:
        score = card_score(self._page, start, end, digits, shape)
        if score:
            self._out.append(Candidate("card", start, end, score))

    def _card_alone(self) -> None:
        """Fifteen digits and more that pass are a card even where letters stand against them."""
        start, end = self._groups[0]
        if end - start > 14 and not (self._data[start - 1 : start] in (b".", b",") and start > 1):
            self._card(start, end, self._data[start:end].decode("ascii"), (end - start,))


def _loose(data: bytes, start: int, end: int) -> bool:
    """Whether a number may end and another begin at what stands between two groups."""
    between = data[start:end]
    return b" " in between or b"(" in between


def _free_before(data: bytes, start: int) -> bool:
    """Nothing in front that makes the digits a part of something longer: a word, a path, a decimal fraction."""
    if not start:
        return True
    before = data[start - 1]
    if before in _ALNUM:
        return False
    further = data[start - 2] if start > 1 else 0
    if before in _TIGHT:
        return further not in _ALNUM
    return not (before in b".," and 0x30 <= further <= 0x39)


def _free_behind(data: bytes, end: int) -> bool:
    behind = data[end : end + 2]
    if not behind:
        return True
    if behind[0] in b"xX" and behind[1:].isdigit():
        return True  # an extension
    if behind[0] in _ALNUM:
        return False
    return not (behind[0] in b"-/.@" and len(behind) > 1 and behind[1] in _ALNUM)
