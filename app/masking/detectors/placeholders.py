"""What stands where a secret would: variables, stars, words that say so, expressions of a programming language."""

from app.masking.detectors.page import pattern

_PLACEHOLDER = pattern(
    rb"(?i)(?:<.*>|\{.*\}|\[.*\]|\$[{(].*|%\(.*|%?s|[*xX.\-_#?]+|"
    rb"(?:your|insert|enter|example|changeme|change[_-]me|replace|placeholder|todo|dummy)[^A-Za-z0-9]?.*|"
    rb"(?:my|the|a)?[_-]?(?:secret|password|passwd|pass|token|api[_-]?key|key|credentials?)|"
    rb"redacted|masked|hidden|removed|none|null|nil|true|false|yes|no|undefined|string|str|text|varchar|bytes|required|"
    rb"optional|invalid|expired|forgotten|incorrect|correct|wrong|missing|empty|reset|changed|protected|stored|encrypted|"
    rb"not|too|still|already|also|now|only|being|sent|set|self|this)"
)
_VARIABLE = pattern(rb"\$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%")
_EXPRESSION = pattern(
    rb"[A-Za-z_][A-Za-z0-9_]*(?:(?:\.|->|::)[A-Za-z_][A-Za-z0-9_]*)*(?:[(\[].*)|"
    rb"[A-Za-z_][A-Za-z_]*(?:(?:\.|->|::)[A-Za-z_]+)+"
)


def is_placeholder(value: bytes) -> bool:
    """Whether nobody could log in with it."""
    return _PLACEHOLDER.fullmatch(value) is not None or _VARIABLE.fullmatch(value) is not None


def is_expression(value: bytes) -> bool:
    """A call, an index or an attribute: the secret is elsewhere."""
    return _EXPRESSION.fullmatch(value) is not None
