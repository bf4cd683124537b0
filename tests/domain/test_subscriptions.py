"""What a subscription is by itself: its secrets over time, and what cannot be one."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.subscriptions import ALL_TYPES, FORMATS, TEST_TYPE, Channel, Format, Payload, Subscription

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=1), NOW + timedelta(days=1)


def subscription(**more):
    given = {"channel": Channel.WEBHOOK, "format": Format.NATIVE, "endpoint": "https://x", "payload": Payload.THIN}
    same = {"id": "sub_1", "name": "ward", "created_at": NOW, "created_by": "key_1", "changed_at": NOW}
    return Subscription(**{**same, **given, **more})


# (what is held, which secrets sign now)
SIGNING = {
    "none": ({}, ()),
    "one": ({"secret": "a"}, ("a",)),
    "two": ({"secret": "a", "old_secret": "b", "old_secret_until": SOON}, ("a", "b")),
    "the old one ends now": ({"secret": "a", "old_secret": "b", "old_secret_until": NOW}, ("a",)),
}


@pytest.mark.parametrize(("held", "signing"), SIGNING.values(), ids=SIGNING)
def test_which_secrets_sign_now(held, signing):
    assert subscription(**held).secrets_at(NOW) == signing


@pytest.mark.parametrize(
    "odd",
    [
        {"format": Format.TEXT},
        {"channel": Channel.EMAIL, "format": Format.FHIR},
        {"old_secret": "b"},
        {"old_secret_until": LATER},
    ],
    ids=["format of another channel", "format of no mail", "old secret without an end", "end without an old secret"],
)
def test_what_cannot_be_is_none(odd):
    with pytest.raises(ValueError, match=r"the format|an old secret"):
        subscription(**odd)


def test_every_format_is_of_one_channel():
    listed = [format_ for formats in FORMATS.values() for format_ in formats]

    assert sorted(listed) == sorted(Format)
    assert set(FORMATS) == set(Channel)


def test_nobody_asks_for_tests_of_others():
    assert TEST_TYPE not in ALL_TYPES
    assert len(set(ALL_TYPES)) == len(ALL_TYPES)
