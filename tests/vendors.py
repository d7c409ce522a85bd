"""Says what a service would have against a message, by the library or schema that its vendor
publishes, or by the limits that its documentation names.

Reads {"to": TYPE, "body": …} a line, writes "TYPE: what is wrong" a line.
"""

import json
import pathlib
import sys
from html.parser import HTMLParser

import adaptive_cards
import discord
from adaptive_cards.card import AdaptiveCard
from adaptive_cards.validation import CardValidatorFactory
from google.protobuf.json_format import Parse
from jsonschema import Draft6Validator
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from slack_sdk.models.blocks import Block


def units(text):
    """Characters as these services count them: UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def too_long(where, text, most):
    if units(text) > most:
        yield f"{where} has {units(text)} characters, {most} are allowed"


def slack(body):
    blocks = Block.parse_all(body["blocks"])
    if len(blocks) != len(body["blocks"]) or len(blocks) > 50:
        yield f"{len(body['blocks'])} blocks, {len(blocks)} known"
    for block in blocks:
        # Raises where a text is too long, a field is missing or a value is not known.
        block.validate_json()


def discord_webhook(body):
    # https://discord.com/developers/docs/resources/message#embed-object-embed-limits
    yield from too_long("content", body["content"], 2000)
    embeds = [discord.Embed.from_dict(embed) for embed in body["embeds"]]
    if len(embeds) > 10 or sum(len(embed) for embed in embeds) > 6000:
        yield "embeds are too many or too long"
    for embed in embeds:
        yield from too_long("title", embed.title or "", 256)
        yield from too_long("description", embed.description or "", 4096)
        yield from too_long("footer", embed.footer.text or "", 2048)
        if len(embed.fields) > 25:
            yield "more than 25 fields"
    if body["allowed_mentions"] != {"parse": []}:
        yield "somebody may be mentioned"


def teams(body):
    schema = pathlib.Path(adaptive_cards.__file__).parent / "schemas" / "schema-1.4.json"
    validator = Draft6Validator(json.loads(schema.read_text(encoding="utf-8-sig")))
    for attachment in body["attachments"]:
        card = dict(attachment["content"])
        # Teams' own word, which the schema for all places does not know:
        # https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format
        if card.pop("msteams", None) not in (None, {"width": "Full"}):
            yield "msteams holds something unknown"
        for error in validator.iter_errors(card):
            yield f"{error.json_path}: {error.message[:200]}"
        parsed = AdaptiveCard.from_json(json.dumps(card)).create()
        checker = CardValidatorFactory.create_validator_microsoft_teams()
        checker.validate(parsed, debug=False)
        for finding in checker.details():
            yield f"{finding.failure.value}: {finding.message[:200]}"


def otlp(body):
    request = Parse(json.dumps(body), ExportLogsServiceRequest())
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if not record.time_unix_nano or not record.body.string_value:
                    yield "a record without a time or a text"


def pagerduty(body):
    # https://developer.pagerduty.com/docs/send-alert-event
    if body["event_action"] not in ("trigger", "acknowledge", "resolve"):
        yield f"event_action {body['event_action']}"
    yield from too_long("dedup_key", body["dedup_key"], 255)
    if body["event_action"] == "trigger":
        payload = body["payload"]
        yield from too_long("summary", payload["summary"], 1024)
        if payload["severity"] not in ("critical", "warning", "error", "info"):
            yield f"severity {payload['severity']}"
        if not payload["source"]:
            yield "no source"
    if len(json.dumps(body)) > 512 * 1024:
        yield "more than 512 KB"


def opsgenie(body):
    # https://docs.opsgenie.com/docs/alert-api#create-alert
    for field, most in {"message": 130, "alias": 512, "description": 15000, "entity": 512, "source": 100}.items():
        yield from too_long(field, body.get(field, ""), most)
    if body.get("priority", "P3") not in ("P1", "P2", "P3", "P4", "P5"):
        yield f"priority {body['priority']}"
    tags = body.get("tags", [])
    if len(tags) > 20 or any(units(tag) > 50 for tag in tags):
        yield "too many or too long tags"
    details = body.get("details", {})
    if sum(units(key) + units(value) for key, value in details.items()) > 8000:
        yield "details are too long"


class Markup(HTMLParser):
    """https://core.telegram.org/bots/api#html-style"""

    KNOWN = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"}

    def __init__(self):
        super().__init__()
        self.open, self.text, self.wrong = [], "", []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag not in self.KNOWN or any(name != "href" for name, _ in attrs):
            self.wrong.append(f"<{tag} {attrs}>")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.text += data


def telegram(body):
    markup = Markup()
    markup.feed(body["text"])
    markup.close()
    yield from markup.wrong
    if markup.open:
        yield f"{markup.open} stay open"
    yield from too_long("text", markup.text, 4096)


def mattermost(body):
    # https://developers.mattermost.com/integrate/webhooks/incoming/
    yield from too_long("text", body["text"], 16383)


def googlechat(body):
    # https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages
    if len(body["text"].encode()) > 32_000:
        yield "more than 32,000 bytes"


CHECKS = {
    "slack": slack,
    "discord": discord_webhook,
    "teams": teams,
    "otlp": otlp,
    "pagerduty": pagerduty,
    "opsgenie": opsgenie,
    "telegram": telegram,
    "mattermost": mattermost,
    "googlechat": googlechat,
}

for line in sys.stdin:
    message = json.loads(line)
    kind = message["to"]
    try:
        for wrong in CHECKS[kind](message["body"]):
            print(f"{kind}: {wrong}")
    except Exception as error:  # whatever the vendor's library raises is its verdict
        print(f"{kind}: {type(error).__name__}: {str(error)[:300]}")
