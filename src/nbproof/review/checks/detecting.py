"""Secrets as detect-secrets knows them: its patterns and its rules of thumb, and none of its calls to anywhere."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from typing import Any

from .naming import named

LONGEST_LINE = 20_000
_PATTERNS = (
    ("artifactory", "ArtifactoryDetector"), ("aws", "AWSKeyDetector"), ("azure_storage_key", "AzureStorageKeyDetector"),
    ("basic_auth", "BasicAuthDetector"), ("cloudant", "CloudantDetector"), ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"), ("gitlab_token", "GitLabTokenDetector"),
    ("ibm_cloud_iam", "IbmCloudIamDetector"), ("ibm_cos_hmac", "IbmCosHmacDetector"), ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"), ("npm", "NpmDetector"), ("openai", "OpenAIDetector"),
    ("private_key", "PrivateKeyDetector"), ("pypi_token", "PypiTokenDetector"), ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"), ("softlayer", "SoftlayerDetector"), ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"), ("telegram_token", "TelegramBotTokenDetector"), ("twilio", "TwilioKeyDetector"),
)  # fmt: skip
# Words that people write where a secret would be.
_PLACEHOLDERS = re.compile(
    r"^(?:x+|\*+|•+|\.+|-+|<.*>|\{.*\}|\$.*|.*(?:example|placeholder|changeme|change_me|dummy|your[_-]|redacted).*"
    r"|none|null|true|false|test|password|passwd|secret|token|env:\w+|file:.+)$",
    re.IGNORECASE,
)
# Tokens of kinds that came after the library's last release.
_OWN = {
    "GitHub Token": re.compile(r"\bgithub_pat_[A-Za-z0-9_]{50,}"),
    "Hugging Face Token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "Google API Key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "Anthropic API Key": re.compile(r"\bsk-ant-[A-Za-z0-9_-]{30,}"),
    "OpenAI API Key": re.compile(r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{30,}"),
    "Databricks Token": re.compile(r"\bdapi[0-9a-f]{32}\b"),
    "Google OAuth Secret": re.compile(r"\bGOCSPX-[A-Za-z0-9_-]{28}"),
    "Google OAuth Token": re.compile(r"\bya29\.[A-Za-z0-9_-]{40,}"),
    "npm Token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "Mailgun Key": re.compile(r"\bkey-[0-9a-f]{32}\b"),
    "Docker Token": re.compile(r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}"),
    "DigitalOcean Token": re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "Shopify Token": re.compile(r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b"),
    "Linear Key": re.compile(r"\blin_api_[A-Za-z0-9]{40}\b"),
    "Notion Token": re.compile(r"\b(?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}\b)"),
    "Vault Token": re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}"),
    "Grafana Token": re.compile(r"\bgl(?:sa_[A-Za-z0-9]{32}_[0-9a-f]{8}|c_[A-Za-z0-9+/]{32,})"),
    "New Relic Key": re.compile(r"\bNR(?:AK|II|JS)-[A-Z0-9]{27}\b"),
    "Sentry Token": re.compile(r"\bsntry[su]_[A-Za-z0-9+/=_]{40,}"),
    "PlanetScale Secret": re.compile(r"\bpscale_(?:pw|tkn|oauth)_[A-Za-z0-9_.=-]{32,}"),
    "Alibaba Key": re.compile(r"\bLTAI[A-Za-z0-9]{17,21}\b"),
    "Age Key": re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b"),
    "Replicate Token": re.compile(r"\br8_[A-Za-z0-9]{37}\b"),
    "Groq Key": re.compile(r"\bgsk_[A-Za-z0-9]{40,}"),
    "Postman Key": re.compile(r"\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}\b"),
    "Private Key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "Password in an Address": re.compile(
        r"\b[a-z][a-z0-9+.-]{2,20}://[^\s:@/\"'<>]{0,64}:(?P<value>[^\s:@/\"'<>]{6,})@[\w.-]+"
    ),
}


def detected(text: str, *, is_source: bool, harmless: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Yield line and kind of everything in `text` that looks like a secret.

    In source also what is assigned to a name such as `password`, and long random texts, count.
    """
    patterns, keyword, entropy = _plugins()
    told: dict[int, str] = {}
    for place, value in named(text, is_code=is_source):
        if value not in harmless:
            told.setdefault(place, "secret by its name")
    for number, whole in enumerate(text.splitlines(), start=1):
        kinds: set[str] = set()
        for line in _pieces(whole):
            kinds |= {kind for kind, pattern in _OWN.items() if any(map(_is_given, pattern.finditer(line)))}
            kinds |= {plugin.secret_type for plugin in patterns if _real(plugin, line, harmless)}
            if is_source and not kinds:
                kinds |= {
                    plugin.secret_type for plugin in (keyword, entropy) if _real(plugin, line, harmless, strict=True)
                }
        if not kinds and number in told:
            kinds = {told[number]}
        yield from ((number, kind) for kind in sorted(kinds))


def _is_given(match: re.Match[str]) -> bool:
    """Whether what a pattern found is no placeholder; most tokens have a shape that none has."""
    value = match.groupdict().get("value")
    return value is None or not (_PLACEHOLDERS.match(value) or set(value) <= set("xX*.-_"))


def _pieces(line: str) -> Iterator[str]:
    """A line of any length in pieces that overlap."""
    for start in range(0, max(1, len(line)), LONGEST_LINE):
        yield line[max(0, start - 400) : start + LONGEST_LINE]


def _real(plugin: Any, line: str, harmless: Collection[str], *, strict: bool = False) -> bool:
    found = [secret for secret in plugin.analyze_string(line) if secret and secret not in harmless]
    return any(not _is_harmless(secret, line, strict=strict) for secret in found)


def _is_harmless(secret: str, line: str, *, strict: bool) -> bool:
    from detect_secrets.filters import heuristic

    if _PLACEHOLDERS.match(secret) or heuristic.is_templated_secret(secret):
        return True
    if not strict:
        return False
    return bool(
        heuristic.is_sequential_string(secret)
        or heuristic.is_potential_uuid(secret)
        or heuristic.is_not_alphanumeric_string(secret)
        or heuristic.is_prefixed_with_dollar_sign(secret)
        or heuristic.is_indirect_reference(line)
        or len(set(secret)) < 4
    )


@functools.lru_cache(maxsize=1)
def _plugins() -> tuple[tuple[Any, ...], Any, Any]:
    from importlib import import_module

    patterns = tuple(getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in _PATTERNS)
    keyword = import_module("detect_secrets.plugins.keyword").KeywordDetector()
    entropy = _Entropy(import_module("detect_secrets.plugins.high_entropy_strings").Base64HighEntropyString(limit=4.5))
    return patterns, keyword, entropy


class _Entropy:
    """Random texts between quotes, but no words, paths or hashes."""

    secret_type = "random text"  # noqa: S105 (a kind of secret)

    def __init__(self, plugin: Any) -> None:
        self._plugin = plugin

    def analyze_string(self, line: str) -> Iterator[str]:
        for _, quoted in re.findall(r"([\"'])([A-Za-z0-9+/=_-]{24,200})\1", line):
            is_mixed = re.search(r"[a-z]", quoted) and re.search(r"[A-Z]", quoted) and re.search(r"\d", quoted)
            if is_mixed and quoted.count("/") < 3 and self._plugin.calculate_shannon_entropy(quoted) > 4.3:
                yield quoted
