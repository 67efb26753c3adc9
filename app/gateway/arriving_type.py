"""What type content has that comes in: what it says it is, or what its key says."""

import re

from app.gateway.errors import FieldError, InvalidRequest
from app.objects.formats import essence_of, format_of, is_media_type
from app.objects.keys import ObjectKey

DEFAULT_TYPE = "application/octet-stream"
_UNSAID = frozenset({DEFAULT_TYPE, "application/x-www-form-urlencoded"})
"""What clients send when nobody told them; the second is curl's."""
_CASELESS = re.compile(r'("(?:[^"\\]|\\.)*")|^[^;]*|;[^;="]*=')
"""Of a media type: the type and the names of its parameters, not what they say (RFC 9110, 8.3.1). First: a value in
quotes, which may hold what looks like one."""


def media_type_of(text: str | None, key: ObjectKey) -> str:
    """As it is stored. Where the content says nothing, what the ending of its key stands for. Raises InvalidRequest."""
    kind = (text or DEFAULT_TYPE).strip()
    if not is_media_type(kind):
        raise InvalidRequest(
            "The content type must be a media type such as text/csv.",
            errors=(FieldError(pointer="/content_type", detail="must be a media type"),),
        )
    if essence_of(kind) not in _UNSAID:
        return _CASELESS.sub(lambda found: found[1] or found[0].lower(), kind)
    form = format_of(key, None, None)
    return DEFAULT_TYPE if form is None else form.content_type
