"""What the sample policies say of the demo's files and queue: additions to policies/, by file."""

RULES = """
# Files. Agents look around and read; what they export is read by detectors, and by a person if it tells of people.
p, role:agent, files/**, list, allow,
p, role:agent, files/customers/**, fetch, allow,
p, role:agent, files/orders/**, fetch, allow,
p, role:agent, files/tickets/**, fetch, allow,
p, role:agent, files/notes/**, fetch, allow,
p, role:agent, files/brand/**, fetch, allow,
p, role:agent, files/archive/**, fetch, allow,
p, role:agent, files/exports/**, fetch, allow,
p, role:agent, files/exports/**, put, allow,
p, role:agent, files/exports/**, delete, approve,

p, role:analyst, files/**, list, allow,
p, role:analyst, files/**, fetch, allow,
p, role:analyst, files/exports/**, put, allow,
p, role:analyst, files/exports/**, delete, approve,
p, role:support, files/tickets/**, list, allow,
p, role:support, files/tickets/**, fetch, allow,
p, role:support, files/notes/**, list, allow,
p, role:support, files/notes/**, fetch, allow,
p, role:dpo, files/**, list, allow,
p, role:dpo, files/**, fetch, allow,
p, role:dba, files/**, list, allow,
p, role:dba, files/exports/**, delete, allow,

# The queue. Our own orders go through; what leaves for a partner is looked at; the inbox is read masked.
p, role:agent, queue/orders.*, publish, allow,
p, role:agent, queue/partner.*, publish, approve,
p, role:agent, queue/support.inbox, receive, allow,

p, role:analyst, queue/orders.*, publish, allow,
p, role:analyst, queue/orders.*, receive, allow,
p, role:analyst, queue/partner.*, publish, approve,
p, role:analyst, queue/support.inbox, receive, allow,
p, role:support, queue/support.inbox, publish, allow,
p, role:support, queue/support.inbox, receive, allow,
p, role:dpo, queue/**, receive, allow,

p, role:support, label:pii.message, unmask, allow,

# Nothing that holds a secret leaves, whoever sends it.
p, *, files/**, put, deny, 'secret' in labels
p, *, queue/**, publish, deny, 'secret' in labels
"""

MASKS = """\
  pii.message: {kind: redact}
"""

APPROVALS = """
  # What leaves for a partner cannot be called back.
  - resource: queue/partner.*
    action: publish
    approvers: [role:dpo]
    expires: 4h
"""

_CUSTOMER = """\
      id: allow
      name: pii.name
      email: pii.email
      phone: pii.phone
      national_id: pii.national_id
      birth_date: pii.birth_date
      street: pii.address
      city: allow
      postal_code: pii.postal_code
      country: allow
"""

FILES = f"""\
# What the demo's files are. A field that nobody labelled comes masked; a file that cannot be masked does not come.
default: mask
max_bytes: 67108864
objects:
  customers/*.csv:
    format: csv
    columns:
{_CUSTOMER}\
  customers/*.parquet:
    format: parquet
    columns:
{_CUSTOMER}\
  orders/*.json:
    format: json
    paths:
      $.shop: allow
      $.orders[*].order: allow
      $.orders[*].status: allow
      $.orders[*].total_cents: allow
      $.orders[*].currency: allow
      $.orders[*].placed_at: allow
      $.orders[*].customer.id: allow
      $.orders[*].customer.name: pii.name
      $.orders[*].customer.email: pii.email
  tickets/*.ndjson:
    format: ndjson
    paths:
      $.ticket: allow
      $.priority: allow
      $.status: allow
      $.customer.name: pii.name
      $.customer.email: pii.email
      $.subject: pii.message
      $.body: pii.message
  notes/*.txt:
    format: text
  exports/**:
    description: what agents and analysts hand on
    default: allow
    put:
      types: [text/csv, application/json, application/x-ndjson, text/plain]
      max_bytes: 1048576
    found: {{pii.*: approve, pci.*: deny, secret.*: deny}}
  brand/**:
    content: raw
"""

QUEUE = """\
# What the demo's messages are.
default: mask
max_bytes: 65536
topics:
  orders.created:
    schema: {file: schemas/order.json}
    paths:
      $.order: allow
      $.status: allow
      $.total_cents: allow
      $.currency: allow
      $.customer.id: allow
      $.customer.name: pii.name
      $.customer.email: pii.email
    found: {pii.*: allow, pci.*: deny, secret.*: deny}
    headers: [trace-id, reply-to]
  partner.orders:
    schema:
      type: object
      required: [order, sku, quantity]
      additionalProperties: false
      properties:
        order: {type: integer, minimum: 1}
        sku: {type: string, maxLength: 40}
        quantity: {type: integer, minimum: 1, maximum: 1000}
        comment: {type: string, maxLength: 500}
    paths: {$.order: allow, $.sku: allow, $.quantity: allow, $.comment: pii.message}
    found: {pii.*: mask, pci.*: deny, secret.*: deny}
    headers: []
  support.inbox:
    paths:
      $.ticket: allow
      $.priority: allow
      $.from.name: pii.name
      $.from.email: pii.email
      $.subject: pii.message
      $.body: pii.message
    found: {pii.*: allow, pci.*: mask, secret.*: deny}
"""

ORDER = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "An order of the shop",
  "type": "object",
  "required": ["order", "status", "total_cents", "currency"],
  "additionalProperties": false,
  "properties": {
    "order": {"type": "integer", "minimum": 1},
    "status": {"enum": ["pending", "paid", "shipped", "delivered", "cancelled", "returned"]},
    "total_cents": {"type": "integer", "minimum": 0},
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "customer": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string", "maxLength": 200},
        "email": {"type": "string", "format": "email"}
      }
    }
  }
}
"""
