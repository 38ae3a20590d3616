"""The keys of families: two names never share one, whatever letters they hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from lib.kairo_metrics.model.schema import Schema, name_and_id
from lib.kairo_metrics.store.admin.stored_key import read_key
from lib.kairo_metrics.store.keys import Keys

KEYS = Keys("production", 3)
# What prometheus_client accepts as a name, and the store keeps as it is.
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
BLANKS = ["a b", "a:b", "a\nb", "a\\nb", "a\tb", " a", "a ", ":a", "a:"]
PECULIAR = [*BLANKS, "{a}", "}a{", "{}", "é", "e\u0301", "a" * 70_000]


@given(name=NAMES)
@example("a b")
@example("a:b")
@example("a\nb")
@example(r"a\nb")
@example("}{production/0}{")
def test_a_name_is_read_back_from_its_key(name: str) -> None:
    """A key leads back to one index field, and that to one name: so two names never share a key."""
    schema = Schema(name, "counter")
    key = KEYS.series(schema).encode()
    stored = read_key("production", key)
    assert stored is not None
    assert (stored.shard, stored.kind, stored.index_field) == (3, "series", schema.index_field)
    assert name_and_id(stored.index_field) == (name, schema.id)


def test_peculiar_names_have_keys_of_their_own() -> None:
    """Blanks, colons, line breaks, braces, other alphabets and long names: each has its own key and index field."""
    schemas = [Schema(name, "counter") for name in PECULIAR]
    assert len({KEYS.series(schema) for schema in schemas}) == len(PECULIAR)
    assert len({schema.index_field for schema in schemas}) == len(PECULIAR)


@given(name=NAMES.filter(lambda name: not re.search(r"[ \n]", name)))
@example("http_requests")
@example("job:errors:rate5m")
@example(r"a\nb")
def test_other_names_keep_the_keys_of_the_version_before(name: str) -> None:
    """In a rolling deploy both versions count into one key; only names with a blank or a line break got another."""
    schema = Schema(name, "counter")
    assert KEYS.series(schema) == f"kairo:v1:{{production/3}}:series:{name} {schema.id}".replace(" ", ":")
    assert schema.index_field == f"{name} {schema.id}"


@given(name=NAMES, other=NAMES)
def test_no_name_gets_the_old_key_of_another(name: str, other: str) -> None:
    """What the version before counts under one name never reaches another name's key, but for those with a colon."""
    old = f"kairo:v1:{{production/3}}:series:{other.replace(' ', ':')}:{Schema(other, 'counter').id}"
    if KEYS.series(Schema(name, "counter")) == old:
        assert name == other.replace(" ", ":")


@pytest.mark.parametrize("name", PECULIAR)
def test_no_name_leads_to_another_slot(name: str) -> None:
    """Braces in a name do not end the hash tag: all keys of a shard stay in one slot of a cluster."""
    assert key_slot(KEYS.series(Schema(name, "counter")).encode()) == key_slot(KEYS.families.encode())
