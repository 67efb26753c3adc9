"""What label a column or path deserves, from its name, its type and a sample of its values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.masking.detectors.folding import fold
from app.masking.detectors.found import Found
from app.masking.detectors.page import Words, pattern

Find = Callable[[str, str], Sequence[Found]]
"""Detectors.find: a text and the name of the field it stood in."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`confidence` from 0 to 1; `reason` is for the person who decides."""

    label: str
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class _Named:
    label: str
    names: Words
    confidence: float


def _named(label: str, names: str, confidence: float = 0.75) -> _Named:
    return _Named(label, Words.of(names), confidence)


NAMES: tuple[_Named, ...] = (
    _named(
        "secret.password",
        "password passwort kennwort passwd pwd pass contrasena senha wachtwoord mot_de_passe пароль 密码",
    ),
    _named(
        "secret.high_entropy", "api_key apikey secret access_token refresh_token auth_token private_key client_secret"
    ),
    _named("pii.email", "email e_mail mail courriel correo posta_elettronica email_address eposta почта 邮箱"),
    _named(
        "pii.phone",
        "phone telephone telefon telefono telefone tel mobile mobil movil celular msisdn fax handy gsm телефон 电话",
    ),
    _named(
        "pci.card_number",
        "card_number cardnumber pan card_no cc_number ccnum credit_card kreditkarte kartennummer tarjeta",
    ),
    _named("pci.iban", "iban bank_account account_iban kontonummer bankrekening"),
    _named(
        "pii.national_id",
        "ssn social_security national_id nationalid bsn nino nir dni nie pesel personnummer cpr cpf nif codice_fiscale "
        "steuer_id tax_id taxid hetu fnr aadhaar passport reisepass passeport pasaporte паспорт 身份证",
    ),
    _named("pii.ip", "ip ip_address ipaddr client_ip remote_addr remote_ip ipv4 ipv6"),
    _named(
        "pii.name",
        "first_name firstname last_name lastname full_name fullname surname given_name family_name "
        "vorname nachname prenom nombre apellido apellidos nome cognome sobrenome voornaam achternaam "
        "fornavn etternavn fornamn efternamn imie nazwisko фамилия имя 姓名",
    ),
    _named(
        "pii.birth_date",
        "birth_date birthdate date_of_birth dob birthday geburtsdatum geburtstag date_naissance date_de_naissance "
        "fecha_nacimiento data_di_nascita data_nascita data_nascimento geboortedatum fodselsdato syntymaaika born_on",
    ),
    _named(
        "pii.address",
        "street address address_line postcode postal_code zip zip_code zipcode strasse hausnummer plz adresse rue "
        "direccion calle indirizzo endereco straat adres 地址 адрес",
        0.65,
    ),
)
_CAMEL = pattern(rb"[A-Z]?[a-z0-9]+|[A-Z]+|[^\x00-\x7f]+")
_NO_TEXT = frozenset(
    {"boolean", "bool", "date", "timestamp", "timestamptz", "time", "interval", "blob", "bytea", "binary"}
)
_NUMBERS = frozenset(
    {
        "integer",
        "int",
        "bigint",
        "smallint",
        "tinyint",
        "numeric",
        "decimal",
        "real",
        "double precision",
        "double",
        "float",
    }
)
_MAY_BE_NUMBERS = frozenset({"pii.phone", "pci.card_number", "pii.national_id", "pii.address"})
_ENOUGH = 0.2
"""A find in every fifth value is no accident."""
_SAMPLE = 1_000
_LONGEST = 10_000
"""Characters read of one value."""


def classify(find: Find, name: str, declared_type: str, values: Iterable[object]) -> Suggestion | None:
    """The label with the most behind it, or None. Values that are None or empty do not count.

    What detectors find in most values outweighs a name; a name alone is a guess, and a sample in which a detector that
    knows the kind finds nothing makes it a weak one. At most 1,000 values are read.
    """
    sample = [text for value in values if (text := _text(value))][:_SAMPLE]
    seen = _seen(find, name, sample)
    guesses = [_by_name(named, name, declared_type, sample, seen) for named in NAMES]
    suggestions = [guess for guess in guesses if guess] + _by_values(seen, len(sample))
    return max(suggestions, key=lambda one: one.confidence, default=None)


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, bool | bytes) else str(value).strip()[:_LONGEST]


def _seen(find: Find, name: str, sample: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each label: in how many values it was found, and how many it filled from end to end."""
    seen: dict[str, tuple[int, int]] = {}
    for text in sample:
        found = find(text, name)
        for label in {one.label for one in found}:
            hits, whole = seen.get(label, (0, 0))
            filled = any(one.label == label and one.end - one.start >= 0.8 * len(text) for one in found)
            seen[label] = hits + 1, whole + filled
    return seen


def _by_values(seen: dict[str, tuple[int, int]], count: int) -> list[Suggestion]:
    """Values that are such a thing say what the column is; those with one among other words make it free text."""
    suggestions = []
    for label, (hits, whole) in seen.items():
        if whole >= _ENOUGH * count:
            confidence = 0.6 + 0.38 * whole / count
            suggestions.append(Suggestion(label, confidence, f"{whole} of {count} values are such"))
        elif hits >= _ENOUGH * count:
            suggestions.append(
                Suggestion(label, 0.55 + 0.2 * hits / count, f"{hits} of {count} values hold one in their text")
            )
        elif hits:
            suggestions.append(Suggestion(label, 0.3, f"{hits} of {count} values hold one"))
    return suggestions


def _by_name(
    named: _Named, name: str, declared_type: str, sample: Sequence[str], seen: dict[str, tuple[int, int]]
) -> Suggestion | None:
    if not _says(named.names, name):
        return None
    kind = declared_type.partition("(")[0].strip().lower()
    if (kind in _NO_TEXT and named.label != "pii.birth_date") or (
        kind in _NUMBERS and named.label not in _MAY_BE_NUMBERS
    ):
        return None
    confidence, reason = named.confidence, f"its name, {name}"
    if named.label in _DETECTED and sample and not seen.get(named.label, (0, 0))[0]:
        confidence, reason = 0.35, f"its name, {name}, but no value of {len(sample)} looks like it"
    return Suggestion(named.label, confidence, reason)


_DETECTED = frozenset({"pii.email", "pci.card_number", "pci.iban", "pii.ip"})
"""Labels whose values detectors find whenever they are there."""


def _says(names: Words, name: str) -> bool:
    """Whether a word of the list begins a part of the name: `customerEmail`, `customer.e-mail`, `E_MAIL_2`."""
    parts = " ".join(_parts(name))
    return names.latin.search(parts.lower().encode("ascii", "replace")) is not None or any(
        word in name.lower() for word in names.foreign
    )


def _parts(name: str) -> list[str]:
    return [part.group().decode("latin-1") for part in _CAMEL.finditer(fold(name).data)]
