"""Likely secrets: what detect-secrets knows is found without its network requests, and is never shown."""

from __future__ import annotations

import json
import socket
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("detect_secrets")

from bulk_upload.core.dataset.personal import SHOWN_MAX
from bulk_upload.edge.validation.survey import secrets
from bulk_upload.edge.validation.survey.secrets import scan, secrets_in
from bulk_upload.edge.validation.survey.task import SurveyTask
from tests.edge.validation.survey.stage import survey

LETTERS = "k3J9sQ2mZx7Lp0Vb5Nc8Rt4Wy6Hd1Fg"
HEX = "0123456789abcdef" * 4

# What each is called, and one that is none.
SECRETS = {
    "AWS Access Key": ["AKIA" + "Z7Q2M4X8P1L5K9J3", f"aws_secret_key = '{(LETTERS * 2)[:40]}'"],
    "Artifactory Credentials": ["token: AKC" + LETTERS[:12] + " "],
    "Azure Storage Account access key": ["AccountKey=" + (LETTERS * 3)[:86] + "=="],
    "Basic Auth Credentials": ["https://jane:hunter22pass@db.corp.de/x"],
    "Cloudant Credentials": [f"cloudant_password = '{HEX}'"],
    "GitHub Token": ["ghp_" + (LETTERS * 2)[:36], "github_pat_" + (LETTERS * 2)[:60]],
    "GitLab Token": ["glpat-" + LETTERS[:20]],
    "IBM Cloud IAM Key": [f"api_key: {(LETTERS * 2)[:44]}"],
    "IBM COS HMAC Credentials": [f"secret_access_key = {HEX[:48]}"],
    "JSON Web Token": ["eyJ" + LETTERS + ".eyJ" + LETTERS + "." + LETTERS],
    "Mailchimp Access Key": [HEX[:32] + "-us12"],
    "NPM tokens": ["//npm.example/:_authToken=npm_" + LETTERS],
    "OpenAI Token": ["sk-" + LETTERS[:20] + "T3BlbkFJ" + LETTERS[:20], "sk-proj-" + LETTERS],
    "Private Key": ["-----BEGIN RSA PRIVATE KEY-----\nMIIEow"],
    "SendGrid API Key": ["SG." + LETTERS[:22] + "." + (LETTERS * 2)[:43]],
    "Slack Token": ["xoxb-1234-5678-abcd", "https://hooks.slack.com/services/T1/B2/" + LETTERS],
    "SoftLayer Credentials": [f"softlayer_api_key = {HEX}"],
    "Square OAuth Secret": ["sq0csp-" + (LETTERS * 2)[:43]],
    "Stripe Access Key": ["sk_live_" + LETTERS[:24]],
    "Telegram Bot Token": ["110201543:" + (LETTERS * 2)[:35]],
    "Twilio API Key": ["AC" + HEX[:32]],
    "Google API key": ["AIza" + (LETTERS * 2)[:35]],
    "Hugging Face token": ["hf_" + (LETTERS * 2)[:34]],
    "Anthropic API key": ["sk-ant-api03-" + LETTERS],
}
ALL = [one for group in SECRETS.values() for one in group]


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_found(kind: str) -> None:
    """Each in the midst of a text, by its kind."""
    for secret in SECRETS[kind]:
        assert kind in {one.kind for one in secrets_in(f"Use this: {secret}\nThank you.")}


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(ALL), st.text(max_size=20), st.text(string.ascii_letters, max_size=30)),
        max_size=5,
    )
)
def test_the_short_cut_hides_nothing(parts: list[str]) -> None:
    """Texts are spared detectors that could find nothing in them; without that the same is found."""
    text = " ".join(parts)
    direct = {
        detector.kind
        for detector in secrets._detectors()
        for pattern in detector.patterns
        for match in pattern.finditer(text)
        # A match may be shorter than any secret there is: three letters after a dot.
        if len(match[0]) >= 20
    }
    assert direct <= {one.kind for one in secrets_in(text)}


@pytest.mark.parametrize(
    "text",
    [
        "The key to success is hard work, and the password is never shared.",
        "AKIAIOSFODNN7EXAMPLE",
        "def compute_the_average_of_all_values(first_value, second_value): return 0",
        "https://docs.python.org/3/library/re.html#regular-expression-syntax",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
)
def test_ordinary_texts_have_none(text: str) -> None:
    """Words, names, addresses, and what documentation writes in the place of keys."""
    assert list(secrets_in(text)) == []


def test_the_place_is_named_and_the_secret_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding has the kind, the place and at most four characters; no server is asked about it."""

    def refuse(*_: object) -> None:
        raise AssertionError("a request was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {
                    "messages": [
                        {"role": "user", "content": one},
                        {"role": "assistant", "content": "jane@corp-x.de"},
                    ]
                }
            )
            + "\n"
            for one in ALL
        )
    )
    report = survey(path, SurveyTask(scans_secrets=True))
    assert report.counts["personal-data"] >= len(ALL)
    assert report.is_valid
    found = [one for one in report.findings if one.rule == "likely-secret"]
    assert {one.line_no for one in found} == set(range(1, len(ALL) + 1))
    assert {one.place for one in found} == {"$.messages[0].content"}
    told = str(report)
    for secret in ALL:
        words = [word for word in secret.split() if len(word) > SHOWN_MAX + 1 and not word.isalpha()]
        assert not any(
            word in told for word in words if word not in ("softlayer_api_key", "secret_access_key")
        )


def test_each_kind_is_named_once_for_a_text() -> None:
    """A list of a thousand addresses is one finding of its text."""
    record = {"messages": [{"content": "a@corp-x.de b@corp-x.de"}, {"content": "c@corp-x.de"}], "id": 7}
    assert [one.path for one in scan(record)] == ["$.messages[0].content", "$.messages[1].content"]
