"""Runs of digits and what stands between them: read once, offered to cards, telephone numbers and national ids."""

from itertools import pairwise

from app.masking.detectors.cards import MAX_DIGITS, card_score, is_common_card
from app.masking.detectors.cards import MIN_DIGITS as MIN_CARD
from app.masking.detectors.national_ids import BY_SHAPE
from app.masking.detectors.page import Candidate, Page, pattern
from app.masking.detectors.phones import MAX_DIGITS as MAX_PHONE
from app.masking.detectors.phones import MIN_DIGITS as MIN_PHONE
from app.masking.detectors.phones import Support, international, national, phone_words, prefix_of

# A date is taken first, so that it neither hides a number behind it nor passes for one.
_RUNS = pattern(
    rb"(?:(?:19|20)[0-9]{2}[-./](?:0[1-9]|1[0-2])[-./][0-3][0-9]|"
    rb"[0-3][0-9][-./](?:0[1-9]|1[0-2])[-./](?:19|20)[0-9]{2})(?:[^0-9]|$)|"
    rb"[0-9](?:[ ()./\-]{0,3}[0-9]){6,}"
)
_GROUPS = pattern(rb"[0-9]+")
_SIGNS = b" ()./-"
_MOST_GROUPS = 7
_MOST_OF_ROW = 16
"""How far a row is looked along on each side."""
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
        self._supported = -1, Support.NONE

    def read_one(self, start: int, end: int) -> None:
        """Digits that stand together."""
        data = self._data
        if end - start < _SHORTEST_ID and data[start - 1 : start] != b"+" and not phone_words(self._page, start):
            return
        digits, shape = data[start:end].decode("ascii"), (end - start,)
        if not (_free_before(data, start) and _free_behind(data, end)):
            # Fifteen digits and more that pass are a card even where letters stand against them.
            if len(digits) > 14 and data[max(0, start - 1) : start] != b".":
                self._card([(start, end)], 0, 0)
            return
        self._card([(start, end)], 0, 0)
        self._national_id(start, end, digits, shape, 1.0)
        self._phone(start, end, digits, shape, True)

    def read(self, groups: list[tuple[int, int]]) -> None:
        """Groups with signs between them: every window of neighbours that is not longer than the longest number."""
        data = self._data
        widths = _shape(groups)
        free = [_free_behind(data, end) for _, end in groups]
        loose = [True, *(_loose(data, a[1], b[0]) for a, b in pairwise(groups)), True]
        for first, (start, _) in enumerate(groups):
            begins_here = loose[first] and _free_before(data, start)
            lasts = []
            total = 0
            for last in range(first, min(first + _MOST_GROUPS, len(groups))):
                total += groups[last][1] - groups[last][0]
                if total > MAX_DIGITS:
                    break
                ends_here = loose[last + 1] and free[last]
                if begins_here and ends_here:
                    if total >= MIN_PHONE:
                        lasts.append((last, total))
                elif total > 14 and self._apart(groups, first, last):
                    self._card(groups, first, last)
            if not lasts:
                continue
            begins = not first or groups[first - 1][1] == self._phone_until
            # In the middle of other numbers, a number needs a word that says what it is, or a country code.
            phone = begins or self._support(start) > Support.NONE or prefix_of(data, start) is not None
            # The longest first: a telephone number is not looked for in a shorter window of one that is valid.
            for last, total in reversed(lasts):
                if total >= MIN_CARD:
                    self._card(groups, first, last)
                shape = widths[first : last + 1]
                if phone or shape in BY_SHAPE:
                    self._window(start, groups[last][1], shape, begins, last + 1 == len(groups))

    def _window(self, start: int, end: int, shape: tuple[int, ...], at_first: bool, at_last: bool) -> None:
        digits = self._digits(start, end)
        if shape in BY_SHAPE:
            self._national_id(start, end, digits, shape, 1.0 if at_first and at_last else _AMONG_OTHERS)
        if start >= self._phone_until:
            self._phone(start, end, digits, shape, at_first)

    def _digits(self, start: int, end: int) -> str:
        return self._data[start:end].translate(None, _SIGNS).decode("ascii")

    def _apart(self, groups: list[tuple[int, int]], first: int, last: int) -> bool:
        """Whether other signs stand around a window than within it: `4111 1111 1111 1111/12/26` holds a card."""
        signs = [self._data[a[1] : b[0]] for a, b in pairwise(groups[max(0, first - 1) : last + 2])]
        around = {*signs[: first > 0], *signs[len(signs) - (last + 1 < len(groups)) :]}
        start = groups[first][0]
        within = set(signs[first > 0 : len(signs) - (last + 1 < len(groups))])
        return around.isdisjoint(within) and self._data[max(0, start - 1) : start] != b"."

    def _card(self, groups: list[tuple[int, int]], first: int, last: int) -> None:
        window = groups[first : last + 1]
        start, end = window[0][0], window[-1][1]
        written = self._data[start:end]
        if b"." in written and (b" " in written or len(window) == 2):
            return  # decimal fractions
        digits = self._digits(start, end)
        score = card_score(self._page, start, end, digits, _shape(window))
        if score and self._in_row(groups, first, last):
            score = card_score(self._page, start, end, digits, _shape(window), in_row=True)
        if score:
            self.found.append(Candidate("card", start, end, score))

    def _in_row(self, groups: list[tuple[int, int]], first: int, last: int) -> bool:
        """Whether two more numbers as wide adjoin on one side, as in a row of numbers that is not one of cards.

        One of them may be the date until which a card is valid.
        """
        low, high = first, last + 1
        while first - low < _MOST_OF_ROW and self._alike(groups, low - 1):
            low -= 1
        while high - last <= _MOST_OF_ROW and self._alike(groups, high - 1):
            high += 1
        if first - low < 2 and high - last - 1 < 2:
            return False
        size = last + 1 - first
        cards = [groups[at : at + size] for at in range(low, high, size)]
        return (high - low) % size > 0 or not all(
            is_common_card(self._digits(card[0][0], card[-1][1])) for card in cards
        )

    def _alike(self, groups: list[tuple[int, int]], at: int) -> bool:
        """Whether a group and the next one are as wide, and a single space is between them."""
        if at < 0 or at + 1 >= len(groups):
            return False
        one, other = groups[at], groups[at + 1]
        return one[1] - one[0] == other[1] - other[0] and not self._data[one[1] : other[0]].strip(b" ")

    def _national_id(self, start: int, end: int, digits: str, shape: tuple[int, ...], trust: float) -> None:
        for kind in BY_SHAPE.get(shape, ()):
            score = kind.score(self._page, start, end, digits, shape, trust)
            if score:
                self.found.append(Candidate("national_id", start, end, score))

    def _support(self, start: int) -> Support:
        """Of the words near by; the same for every number that begins there."""
        if start != self._supported[0]:
            self._supported = start, phone_words(self._page, start)
        return self._supported[1]

    def _phone(self, start: int, end: int, digits: str, shape: tuple[int, ...], at_first: bool) -> None:
        if start < self._phone_until or len(digits) > MAX_PHONE + 3:
            return
        data = self._data
        support = self._support(start)
        begin, score = start, 0.0
        prefix = prefix_of(data, start)
        if prefix:
            begin, exit_code = prefix
            score = international(digits[exit_code:], support, plus=not exit_code)
        if not score and (support or at_first) and not (len(shape) == 2 and data[start + shape[0]] == _POINT):
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
