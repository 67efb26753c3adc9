"""Labels that exist without standing in any file, because detectors give them to what they find."""

DETECTED_LABELS = (
    "pci.card_number",
    "pci.iban",
    "pii.email",
    "pii.ip",
    "pii.national_id",
    "pii.phone",
    "secret.aws_key",
    "secret.github_token",
    "secret.high_entropy",
    "secret.jwt",
    "secret.private_key",
    "secret.slack_token",
)
