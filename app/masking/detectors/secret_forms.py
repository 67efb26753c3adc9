"""Tokens that their issuers made recognisable: a prefix to look for, and the whole form to check it against."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from app.masking.detectors.page import pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenForm:
    entity: str
    prefix: bytes
    """A pattern of a few characters, unlikely in other text."""
    form: Any
    """The whole token, prefix included, from its first character."""
    score: float = 0.95


def _form(entity: str, prefix: bytes, rest: bytes, score: float = 0.95) -> TokenForm:
    return TokenForm(
        entity=entity, prefix=prefix, form=pattern(rb"(?:" + prefix + rb")(?:" + rest + rb")"), score=score
    )


_WORD = rb"[A-Za-z0-9_\-]"
_ALNUM = rb"[A-Za-z0-9]"
_HEX = rb"[0-9a-f]"

FORMS: tuple[TokenForm, ...] = (
    _form("aws_key", rb"(?:AKIA|ASIA|ABIA|ACCA)", rb"[A-Z2-7]{16}"),
    _form("github_token", rb"gh[opusr]_", _ALNUM + rb"{30,255}"),
    _form("github_token", rb"github_pat_", rb"[A-Za-z0-9_]{22,255}"),
    _form("gitlab_token", rb"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-", _WORD + rb"{16,300}"),
    _form("slack_token", rb"xox[abceoprs]-", rb"[A-Za-z0-9\-]{10,250}"),
    _form("slack_token", rb"xapp-", rb"[0-9]-[A-Z0-9]{8,14}-[0-9]{8,16}-[a-z0-9]{32,80}"),
    _form("slack_token", rb"hooks\.slack\.com/", rb"(?:services|workflows|triggers)/[A-Za-z0-9/]{20,120}"),
    _form("stripe_key", rb"[sr]k_(?:live|test|prod)_", _ALNUM + rb"{10,200}"),
    _form("service_token", rb"rzp_(?:live|test)_", _ALNUM + rb"{14,40}"),
    _form("stripe_key", rb"whsec_", rb"[A-Za-z0-9+/=]{24,120}"),
    _form("google_key", rb"AIza", _WORD + rb"{35}"),
    _form("google_key", rb"GOCSPX-", _WORD + rb"{20,40}"),
    _form("google_key", rb"ya29\.", rb"[A-Za-z0-9_\-.]{20,1000}"),
    _form("google_key", rb"1//0", rb"[A-Za-z0-9_\-]{30,250}"),
    _form("npm_token", rb"npm_", _ALNUM + rb"{36}"),
    _form("pypi_token", rb"pypi-AgE", _WORD + rb"{50,1000}"),
    _form("anthropic_key", rb"sk-ant-", _WORD + rb"{20,200}"),
    _form("openai_key", rb"sk-(?:proj|svcacct|admin|None|or-v1)-", _WORD + rb"{20,300}"),
    _form("openai_key", rb"sk-", _ALNUM + rb"{20,100}", 0.85),
    _form("telegram_token", rb"[0-9]{8,10}:AA", _WORD + rb"{32,34}"),
    _form("service_token", rb"hf_", rb"[A-Za-z]{30,40}"),
    _form("service_token", rb"SG\.", _WORD + rb"{20,24}\." + _WORD + rb"{39,50}"),
    _form("service_token", rb"do[opr]_v1_", _HEX + rb"{64}"),
    _form("service_token", rb"shp(?:at|ca|pa|ss)_", rb"[0-9a-fA-F]{32}"),
    _form("service_token", rb"hv[sbr]\.", _WORD + rb"{24,200}"),
    _form("service_token", rb"dapi", _HEX + rb"{32}"),
    _form("service_token", rb"ATATT3", rb"[A-Za-z0-9_\-=]{50,250}"),
    _form("service_token", rb"glsa_", rb"[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}"),
    _form("service_token", rb"lin_api_", _ALNUM + rb"{40}"),
    _form("service_token", rb"dp\.(?:pt|st|ct|sa)\.", rb"[A-Za-z0-9.]{40,60}"),
    _form("service_token", rb"tskey-", rb"[a-z]{3,12}-[A-Za-z0-9\-]{16,80}"),
    _form("service_token", rb"AGE-SECRET-KEY-1", rb"[A-Z0-9]{58}"),
    _form("service_token", rb"sq0(?:csp|atp)-", _WORD + rb"{22,60}"),
    _form("service_token", rb"SK", _HEX + rb"{32}"),
    _form("service_token", rb"dckr_pat_", _WORD + rb"{20,40}"),
    _form("service_token", rb"NRAK-", rb"[A-Z0-9]{27}"),
    _form("service_token", rb"gsk_", _ALNUM + rb"{40,80}"),
    _form("service_token", rb"xai-", _ALNUM + rb"{60,120}"),
    _form("service_token", rb"pplx-", _ALNUM + rb"{40,80}"),
    _form("service_token", rb"r8_", _ALNUM + rb"{32,60}"),
    _form("service_token", rb"ntn_", _ALNUM + rb"{40,60}"),
    _form("service_token", rb"sbp_", _HEX + rb"{40}"),
    _form("service_token", rb"sntrys_", rb"[A-Za-z0-9_+/=\-]{40,500}"),
    _form("jwt", rb"eyJ", rb"[A-Za-z0-9_\-]+\."),
)
PREFIXES = pattern(rb"(?:^|[^A-Za-z0-9])(?:" + b"|".join(form.prefix for form in FORMS) + rb")")


_FIRSTS = tuple((form, *pattern(form.prefix).possiblematchrange(1)) for form in FORMS)
FORMS_BY_FIRST = {
    byte: tuple(form for form, low, high in _FIRSTS if low <= bytes([byte]) <= high) for byte in range(128)
}
"""The forms that a token with this first character may have."""
SHORTEST_TOKEN = 15
LONGEST_TOKEN = 8_192
"""The first part of a JWT may be that long, or any other token."""
_JWT_HEAD = pattern(rb"[A-Za-z0-9_\-]+")
JWT_PARTS = pattern(rb"[A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]*){1,3}")
"""What follows the first part of a JWT and its dot, however long: claims may hold whole directories of groups."""


def is_jwt(head: bytes) -> bool:
    """RFC 7515, 7516: the first part is JSON that names its algorithm."""
    if len(head) < 12 or not _JWT_HEAD.fullmatch(head):
        return False
    try:
        header = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)
