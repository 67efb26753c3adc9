"""The rules a token has to keep, one function each: HEADER_RULES before its signature is checked, CLAIM_RULES after.

Each rule returns the refusal, or None. No rule quotes the token; `reason` is stable, `detail` says the next step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.identity.issuers import IssuerConfig
from app.identity.keys import MAX_KID_CHARS
from app.identity.names import is_name
from app.ports import TokenRefused

MAX_ACT_DEPTH = 8
LATEST_DATE = 253_402_300_799
"""End of the year 9999: later dates are not dates."""

_KEYS_IN_HEADER = ("jku", "x5u", "jwk", "x5c")
_EXTENSIONS_IN_HEADER = ("crit", "b64", "zip", "enc")
_ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_PLAIN_TYPES = frozenset({"jwt", "application/jwt"})
_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")
_OTHER_KINDS = frozenset({"id", "refresh", "offline", "logout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    issuer: IssuerConfig
    now: float


Rule = Callable[[Presented], TokenRefused | None]


def no_foreign_keys(token: Presented) -> TokenRefused | None:
    if any(name in token.header for name in _KEYS_IN_HEADER):
        return TokenRefused("key_in_header", "Tokens that bring or point to their own key are refused: use kid alone.")
    return None


def no_extensions(token: Presented) -> TokenRefused | None:
    if any(name in token.header for name in _EXTENSIONS_IN_HEADER):
        return TokenRefused("header_extension", "crit, b64, zip and enc are not accepted: send a plain signed token.")
    return None


def allowed_algorithm(token: Presented) -> TokenRefused | None:
    alg = token.header.get("alg")
    if not isinstance(alg, str) or alg not in token.issuer.algorithms:
        return TokenRefused(
            "algorithm",
            "The signature algorithm is not allowed for this issuer: see `algorithms` in its configuration.",
        )
    return None


def access_token_type(token: Presented) -> TokenRefused | None:
    typ = token.header.get("typ", "JWT")
    if isinstance(typ, str):
        kind = typ.lower()
        if kind in _ACCESS_TOKEN_TYPES or (token.issuer.accept_typ_jwt and kind in _PLAIN_TYPES):
            return None
    return TokenRefused(
        "type",
        "Send an access token of type at+jwt (RFC 9068). If the issuer marks its access tokens JWT, an administrator "
        "can set accept_typ_jwt for it.",
    )


def has_kid(token: Presented) -> TokenRefused | None:
    kid = token.header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS:
        return TokenRefused("no_kid", "The token does not name the key that signed it: let the issuer set kid.")
    return None


def readable_dates(token: Presented) -> TokenRefused | None:
    for name, needed in (("exp", True), ("iat", True), ("nbf", False)):
        value = token.claims.get(name)
        if name not in token.claims and not needed:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST_DATE:
            return TokenRefused(f"bad_{name}", f"`{name}` has to be a number of seconds since 1970: get a new token.")
    return None


def not_expired(token: Presented) -> TokenRefused | None:
    if token.now >= token.claims["exp"] + token.issuer.leeway_s:
        return TokenRefused("expired", "The token has expired: get a new one from the issuer.")
    return None


def not_early(token: Presented) -> TokenRefused | None:
    if token.claims.get("nbf", 0) > token.now + token.issuer.leeway_s:
        return TokenRefused("not_yet_valid", "The token is not valid yet: wait, or correct the clocks.")
    return None


def not_from_the_future(token: Presented) -> TokenRefused | None:
    if token.claims["iat"] > token.now + token.issuer.leeway_s:
        return TokenRefused("issued_in_future", "The token was issued in the future: correct the clocks.")
    return None


def believable_lifetime(token: Presented) -> TokenRefused | None:
    lifetime_s = token.claims["exp"] - token.claims["iat"]
    if not 0 < lifetime_s <= token.issuer.max_lifetime_s:
        return TokenRefused(
            "lifetime", "The token lives too long for an access token: shorten it at the issuer, or set max_lifetime_s."
        )
    return None


def for_us(token: Presented) -> TokenRefused | None:
    audiences = token.claims.get("aud")
    listed = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(listed, list) or not all(isinstance(audience, str) for audience in listed):
        return TokenRefused("bad_audience", "`aud` has to be a string or a list of strings: correct it at the issuer.")
    if token.issuer.audiences.isdisjoint(listed):
        return TokenRefused(
            "audience", "The token is for another service: ask the issuer for one with this service as resource."
        )
    return None


def names_a_subject(token: Presented) -> TokenRefused | None:
    if not is_name(token.claims.get("sub")):
        return TokenRefused(
            "bad_subject", "`sub` has to be a plain name of at most 256 characters: correct it at the issuer."
        )
    return None


def names_one_client(token: Presented) -> TokenRefused | None:
    named = [token.claims[name] for name in ("client_id", "azp") if name in token.claims]
    if not named or not all(map(is_name, named)) or len(set(named)) != 1:
        return TokenRefused(
            "bad_client",
            "`client_id` (or `azp`, with the same value) has to name the client: correct it at the issuer.",
        )
    return None


def from_an_allowed_client(token: Presented) -> TokenRefused | None:
    if token.issuer.clients is not None and client_of(token.claims) not in token.issuer.clients:
        return TokenRefused("client", "This client may not use the service: ask an administrator to list it.")
    return None


def no_id_token(token: Presented) -> TokenRefused | None:
    claims = token.claims
    kind, use = claims.get("typ"), claims.get("token_use", "access")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    typed = str(token.header.get("typ", "")).lower() in _ACCESS_TOKEN_TYPES
    if (
        any(name in claims for name in _ID_TOKEN_CLAIMS)
        or "events" in claims
        or use != "access"
        or (isinstance(kind, str) and kind.lower() in _OTHER_KINDS)
        # An ID token is addressed to the client. Only the explicit type makes such an audience an access token's.
        or (not typed and client_of(claims) in audiences)
    ):
        return TokenRefused("id_token", "This is not an access token (an ID, refresh or logout token): send that one.")
    return None


def not_sender_constrained(token: Presented) -> TokenRefused | None:
    if "cnf" in token.claims:
        return TokenRefused(
            "sender_constrained",
            "The token is bound to a key (cnf), and proof of possession is not checked here: ask for a bearer token.",
        )
    return None


def readable_token_id(token: Presented) -> TokenRefused | None:
    if "jti" in token.claims and not is_name(token.claims["jti"]):
        return TokenRefused("bad_jti", "`jti` has to be a plain string of at most 256 characters.")
    return None


def readable_actors(token: Presented) -> TokenRefused | None:
    if "act" not in token.claims:
        return None
    act: Any = token.claims["act"]
    for _ in range(MAX_ACT_DEPTH):
        if not isinstance(act, dict) or not is_name(act.get("sub")):
            return TokenRefused("bad_act", "Every `act` has to be an object with a plain `sub` (RFC 8693).")
        if act.get("iss", token.issuer.issuer) != token.issuer.issuer:
            return TokenRefused("bad_act", "An `act` of another issuer cannot be told apart here: exchange it first.")
        if "act" not in act:
            return None
        act = act["act"]
    return TokenRefused("bad_act", f"More than {MAX_ACT_DEPTH} actors in a row: shorten the delegation chain.")


HEADER_RULES: tuple[Rule, ...] = (no_foreign_keys, no_extensions, allowed_algorithm, access_token_type, has_kid)

CLAIM_RULES: tuple[Rule, ...] = (
    readable_dates,
    not_expired,
    not_early,
    not_from_the_future,
    believable_lifetime,
    for_us,
    names_a_subject,
    names_one_client,
    no_id_token,
    from_an_allowed_client,
    not_sender_constrained,
    readable_token_id,
    readable_actors,
)
"""In order: a later rule may rely on the types that an earlier one has seen."""


def client_of(claims: Mapping[str, Any]) -> str:
    """Of claims that passed `names_one_client`."""
    return str(claims["client_id"] if "client_id" in claims else claims["azp"])


def broken_rule(rules: tuple[Rule, ...], token: Presented) -> TokenRefused | None:
    """The first refusal."""
    return next((refusal for rule in rules if (refusal := rule(token)) is not None), None)
