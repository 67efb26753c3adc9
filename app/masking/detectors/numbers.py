"""Runs of digits and what stands between them: read once, offered to cards, telephone numbers and national ids."""

from itertools import pairwise

from app.masking.detectors.cards import MAX_DIGITS, card_score
from app.masking.detectors.national_ids import BY_SHAPE
from app.masking.detectors.page import Candidate, Page, pattern
from app.masking.detectors.phones import MAX_DIGITS as MAX_PHONE
from app.masking.detectors.phones import MIN_DIGITS as MIN_PHONE
from app.masking.detectors.phones import international, national, phone_words, prefix_of

# A date is taken first, so that it neither hides a number behind it nor passes for one.
_RUNS = pattern(
    rb"(?:(?:19|20)[0-9]{2}[-./](?:0[1-9]|1[0-2])[-./][0-3][0-9]|"
    rb"[0-3][0-9][-./](?:0[1-9]|1[0-2])[-./](?:19|20)[0-9]{2})(?:[^0-9]|$)|"
    rb"[0-9](?:[ ()./\-]{0,3}[0-9]){6,}"
)
_GROUPS = pattern(rb"[0-9]+")
_MOST_GROUPS = 7
_LONGEST_DATE = 11
_AMONG_OTHERS = 0.75
"""How much less a national id counts by itself that is a part of a longer row of numbers."""
_SHORTEST_ID = min(map(sum, BY_SHAPE))
_POINT, _COMMA = 0x2E, 0x2C
_FRACTION = pattern(rb"[0-9]{1,8}(?:[^0-9 (/\-]|$)|[0-9]{1,8}[ (/\-][^0-9]")
"""What may follow a decimal comma, or one between thousands; in a row of a table there may stand anything."""
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_TIGHT = frozenset(b"-/")


def numbers(page: Page, regions: tuple[str, ...]) -> list[Candidate]:
    """Every card, national id and telephone number among the digits of a page; they may overlap."""
    if page.digits < MIN_PHONE:
        return []
    reader = _Reader(page, regions)
    data = page.data
    for match in _RUNS.finditer(data):
        start, end = match.span()
        run = data[start:end]
        if run.isdigit():
            if end - start <= MAX_DIGITS:
                reader.read_one(start, end)
        elif end - start > _LONGEST_DATE or run[-1:].isdigit():
            reader.read([(start + a, start + b) for a, b in (m.span() for m in _GROUPS.finditer(run))])
    return reader.found


class _Reader:
    """Offers digits of one page to all who know numbers."""

    def __init__(self, page: Page, regions: tuple[str, ...]) -> None:
        self.found: list[Candidate] = []
        self._page, self._data = page, page.data
        self._regions = regions
        self._phone_until = 0
        """Behind the last telephone number; none begins within another."""

    def read_one(self, start: int, end: int) -> None:
        """Digits that stand together."""
        data = self._data
        if end - start < _SHORTEST_ID and data[start - 1 : start] != b"+" and not phone_words(self._page, start):
            return
        digits, shape = data[start:end].decode("ascii"), (end - start,)
        if not (_free_before(data, start) and _free_behind(data, end)):
            # Fifteen digits and more that pass are a card even where letters stand against them.
            if len(digits) > 14 and data[max(0, start - 1) : start] != b".":
                self._card(start, end, digits, shape)
            return
        self._card(start, end, digits, shape)
        self._national_id(start, end, digits, shape, 1.0)
        self._phone(start, end, digits, shape, True)

    def read(self, groups: list[tuple[int, int]]) -> None:
        """Groups with signs between them: every window of neighbours that is not longer than the longest number."""
        data = self._data
        loose = [True, *(_loose(data, a[1], b[0]) for a, b in pairwise(groups)), True]
        for first, (start, _) in enumerate(groups):
            begins_here = loose[first] and _free_before(data, start)
            lasts = []
            total = 0
            for last in range(first, min(first + _MOST_GROUPS, len(groups))):
                total += groups[last][1] - groups[last][0]
                if total > MAX_DIGITS:
                    break
                ends_here = loose[last + 1] and _free_behind(data, groups[last][1])
                if begins_here and ends_here:
                    if total >= MIN_PHONE:
                        lasts.append(last)
                elif total > 14 and self._apart(groups, first, last):
                    window = groups[first : last + 1]
                    self._card(start, window[-1][1], self._digits(window), _shape(window))
            begins = not first or groups[first - 1][1] == self._phone_until
            # The longest first: a telephone number is not looked for in a shorter window of one that is valid.
            for last in reversed(lasts):
                self._window(groups[first : last + 1], begins, last + 1 == len(groups))

    def _window(self, window: list[tuple[int, int]], at_first: bool, at_last: bool) -> None:
        start, end = window[0][0], window[-1][1]
        shape, digits = _shape(window), self._digits(window)
        self._card(start, end, digits, shape)
        self._national_id(start, end, digits, shape, 1.0 if at_first and at_last else _AMONG_OTHERS)
        self._phone(start, end, digits, shape, at_first)

    def _digits(self, window: list[tuple[int, int]]) -> str:
        return b"".join([self._data[a:b] for a, b in window]).decode("ascii")

    def _apart(self, groups: list[tuple[int, int]], first: int, last: int) -> bool:
        """Whether other signs stand around a window than within it: `4111 1111 1111 1111/12/26` holds a card."""
        signs = [self._data[a[1] : b[0]] for a, b in pairwise(groups[max(0, first - 1) : last + 2])]
        around = {*signs[: first > 0], *signs[len(signs) - (last + 1 < len(groups)) :]}
        start = groups[first][0]
        within = set(signs[first > 0 : len(signs) - (last + 1 < len(groups))])
        return around.isdisjoint(within) and self._data[max(0, start - 1) : start] != b"."

    def _card(self, start: int, end: int, digits: str, shape: tuple[int, ...]) -> None:
        if len(shape) == 2 and self._data[start + shape[0]] == _POINT:
            return  # a decimal fraction
        score = card_score(self._page, start, end, digits, shape)
        if score:
            self.found.append(Candidate("card", start, end, score))

    def _national_id(self, start: int, end: int, digits: str, shape: tuple[int, ...], trust: float) -> None:
        for kind in BY_SHAPE.get(shape, ()):
            score = kind.score(self._page, start, end, digits, shape, trust)
            if score:
                self.found.append(Candidate("national_id", start, end, score))

    def _phone(self, start: int, end: int, digits: str, shape: tuple[int, ...], at_first: bool) -> None:
        if start < self._phone_until or len(digits) > MAX_PHONE + 3:
            return
        data = self._data
        support = phone_words(self._page, start)
        begin, score = start, 0.0
        prefix = prefix_of(data, start)
        if prefix:
            begin, exit_code = prefix
            score = international(digits[exit_code:], support, plus=not exit_code)
        if not score and (support or at_first) and not (len(shape) == 2 and data[start + shape[0]] == _POINT):
            # In the middle of other numbers, a number needs a word that says what it is.
            bracketed = data[max(0, start - 1) : start] == b"(" and b")" in data[start:end]
            begin = start - bracketed
            score = national(digits, shape, support, self._regions, bracketed=bracketed)
        if score:
            self.found.append(Candidate("phone", begin, end, score))
            if score > 0.6:
                self._phone_until = end


def _shape(window: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(b - a for a, b in window)


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
    if before in b".," and 0x30 <= further <= 0x39:
        return before == _COMMA and not _FRACTION.match(data, start)
    return True


def _free_behind(data: bytes, end: int) -> bool:
    behind = data[end : end + 2]
    if not behind:
        return True
    if behind[0] in b"xX" and behind[1:].isdigit():
        return True  # an extension
    if behind[0] in _ALNUM:
        return False
    return not (behind[0] in b"-/.@" and len(behind) > 1 and behind[1] in _ALNUM)
