"""What people paste as an organization API key: cleaned, canonical, or told apart from what it is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub_core.bitwarden.credentials import (
    ParsedKey,
    clean,
    parse_block,
    parse_key,
    with_prefix,
)
from hub_core.errors import InputError
from hub_core.model import Reason

UUID = "0e8b1a2c-1111-4111-8111-00000000a001"
CLIENT_ID = f"organization.{UUID}"
SECRET = "CanaryCanaryCanaryCanary123456"


def outcome(client_id: str, secret: str) -> ParsedKey | InputError:
    """What the two fields are read as, or how they are refused."""
    try:
        return parse_key(client_id, secret)
    except InputError as error:
        return error


def refusal(client_id: str, secret: str = SECRET) -> InputError:
    """The refusal of two fields that must be refused."""
    with pytest.raises(InputError) as caught:
        parse_key(client_id, secret)
    return caught.value


def test_a_plain_key_is_taken_without_remark() -> None:
    """A key as Bitwarden shows it needs no notes and no warnings."""
    parsed = parse_key(CLIENT_ID, SECRET)
    assert (parsed.key.client_id, parsed.key.secret.reveal()) == (CLIENT_ID, SECRET)
    assert parsed.key.organization_id == UUID
    assert (parsed.notes, parsed.warnings) == ((), ())


WRAPPINGS = [
    ("  {}  ", "blanks"),
    ("{}\n", "line breaks"),
    ("\r\n{}\r\n", "line breaks"),
    ("\u00a0{}\u3000", "blanks"),
    ('"{}"', "quotation"),
    ("'{}'", "quotation"),
    ("`{}`", "quotation"),
    ("```{}```", "quotation"),
    ("“{}”", "quotation"),
    ("„{}“", "quotation"),
    ("«{}»", "quotation"),
    ("‘{}’", "quotation"),  # noqa: RUF001 - typographic on purpose
    ('"{}",', "quotation"),
    ("'{}';", "quotation"),
    (' " {} " ', "quotation"),
    ("\ufeff{}", "invisible"),
    ("{}\u200b", "invisible"),
    ("\u202a{}\u202c", "invisible"),
]


@pytest.mark.parametrize(("wrapping", "word"), WRAPPINGS, ids=ascii)
def test_what_copying_adds_is_removed_and_said_so(wrapping: str, word: str) -> None:
    """Blanks, quotation marks and invisible characters go, from both fields, each with a sentence naming the field."""
    parsed = parse_key(wrapping.format(CLIENT_ID), wrapping.format(SECRET))
    assert (parsed.key.client_id, parsed.key.secret.reveal()) == (CLIENT_ID, SECRET)
    for field in ("client ID", "client secret"):
        assert any(word in note and field in note for note in parsed.notes)


def test_zero_width_characters_inside_are_removed() -> None:
    """Characters nobody can see are removed wherever they stand, as they break a key silently."""
    assert clean(f"{SECRET[:9]}\u200b{SECRET[9:20]}\ufeff{SECRET[20:]}", "client secret") == (
        SECRET,
        ("Removed invisible characters from the client secret.",),
    )


@pytest.mark.parametrize("text", ['"abc', "abc'", "“abc", "a,b", "abc,", "abc;", "a'b'c", '"', "''x", "a  b"])
def test_marks_without_a_partner_stay(text: str) -> None:
    """Only a matching pair around the whole is removed; nothing is guessed."""
    assert clean(text) == (text, ())


@pytest.mark.parametrize(
    "typed",
    [
        CLIENT_ID.upper(),
        f"Organization.{UUID}",
        f"organization.{UUID.upper()}",
        f"organization.{{{UUID}}}",
        f"organization.{UUID.replace('-', '')}",
        f"organization.{{{UUID.replace('-', '').upper()}}}",
    ],
)
def test_other_spellings_become_canonical(typed: str) -> None:
    """Case, braces and missing dashes are put right, with a note, because the server is case sensitive."""
    parsed = parse_key(typed, SECRET)
    assert parsed.key.client_id == CLIENT_ID
    assert any("lower case" in note for note in parsed.notes)


REFUSED_IDS = [
    ("", Reason.CLIENT_ID_MISSING),
    (" \n ", Reason.CLIENT_ID_MISSING),
    ("''", Reason.CLIENT_ID_MISSING),
    (f"user.{UUID}", Reason.PERSONAL_KEY),
    (f"User.{UUID.upper()}", Reason.PERSONAL_KEY),
    ("user.0e8b1a2c", Reason.PERSONAL_KEY),
    (f"installation.{UUID}", Reason.INSTALLATION_KEY),
    (f'"installation.{UUID}"', Reason.INSTALLATION_KEY),
    (UUID, Reason.CLIENT_ID_BARE),
    (UUID.upper(), Reason.CLIENT_ID_BARE),
    (f"{{{UUID}}}", Reason.CLIENT_ID_BARE),
    (UUID.replace("-", ""), Reason.CLIENT_ID_BARE),
    (f".{UUID}", Reason.CLIENT_ID_BARE),
    (f"nization.{UUID}", Reason.CLIENT_ID_BARE),
    (CLIENT_ID[:-1], Reason.CLIENT_ID_CUT),
    (CLIENT_ID[:-12], Reason.CLIENT_ID_CUT),
    (CLIENT_ID[:22], Reason.CLIENT_ID_CUT),
    ("organization.", Reason.CLIENT_ID_CUT),
    (f"organization.{UUID.replace('-', '')[:-1]}", Reason.CLIENT_ID_CUT),
    (UUID[:-3], Reason.CLIENT_ID_CUT),
    (f"{CLIENT_ID}0", Reason.CLIENT_ID_MALFORMED),
    (f"{CLIENT_ID} {CLIENT_ID}", Reason.CLIENT_ID_MALFORMED),
    ("organization.acme", Reason.CLIENT_ID_MALFORMED),
    (f"organization.{UUID.replace('e', 'g')}", Reason.CLIENT_ID_MALFORMED),
    (f"organization.{'-' * 40}", Reason.CLIENT_ID_MALFORMED),
    (f"organization.{UUID.replace('-', '–')}", Reason.CLIENT_ID_MALFORMED),
    (f"organizatiоn.{UUID}", Reason.CLIENT_ID_MALFORMED),  # noqa: RUF001 - a Cyrillic letter
    (f"provider.{UUID}", Reason.CLIENT_ID_MALFORMED),
    ("organization", Reason.CLIENT_ID_MALFORMED),
    ("it@example.com", Reason.CLIENT_ID_MALFORMED),
    ("user.name@example.com", Reason.CLIENT_ID_MALFORMED),
    ("Acme", Reason.CLIENT_ID_MALFORMED),
    ("Acme Ltd. & Sons", Reason.CLIENT_ID_MALFORMED),
    ("https://vault.bitwarden.com", Reason.CLIENT_ID_MALFORMED),
    ("x" * 100_000, Reason.CLIENT_ID_MALFORMED),
    (CLIENT_ID + "\x00", Reason.CLIENT_ID_MALFORMED),
    (SECRET, Reason.CLIENT_ID_MALFORMED),
]


@pytest.mark.parametrize(("typed", "reason"), REFUSED_IDS, ids=lambda value: ascii(value)[:60])
def test_everything_else_in_the_client_id_field_is_recognized(typed: str, reason: Reason) -> None:
    """Whatever is not an organization's client ID is refused for its own reason, before anything is sent."""
    error = refusal(typed)
    assert (error.field, error.reason) == ("client_id", reason)
    assert SECRET not in error.message


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (CLIENT_ID[:-1], "1 character is missing"),
        (CLIENT_ID[:-12], "12 characters are missing"),
        ("organization.", "36 characters are missing"),
        (f"organization.{UUID.replace('-', '')[:-5]}", "5 characters are missing"),
        ("it@example.com", "e-mail address"),
        ("Acme Ltd.", "a name"),
        ("https://vault.bitwarden.com", "an address"),
        (SECRET, "client secret"),
        (UUID, "prefix"),
    ],
)
def test_the_sentence_says_what_was_typed_instead(typed: str, words: str) -> None:
    """The message tells what the text looks like, or how much of it is missing."""
    assert words in refusal(typed).message


@pytest.mark.parametrize("swapped", [CLIENT_ID, f" '{CLIENT_ID.upper()}' ", f"user.{UUID}", UUID, CLIENT_ID[:-4]])
@pytest.mark.parametrize("beside", [SECRET, "hand-made secret", ""])
def test_swapped_fields_are_noticed(swapped: str, beside: str) -> None:
    """A client ID in the field of the secret is a swap, whose message repeats neither field."""
    error = refusal(beside, swapped)
    assert (error.field, error.reason) == ("client_id", Reason.FIELDS_SWAPPED)
    assert not beside or beside not in error.message
    assert UUID not in error.message


def test_the_client_id_in_both_fields_is_not_a_swap() -> None:
    """The id pasted twice is a matter of the secret field alone."""
    error = refusal(CLIENT_ID, CLIENT_ID)
    assert (error.field, error.reason) == ("secret", Reason.SECRET_MALFORMED)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", Reason.SECRET_MISSING),
        (" \r\n", Reason.SECRET_MISSING),
        ('""', Reason.SECRET_MISSING),
        (f"{SECRET[:15]} {SECRET[15:]}", Reason.SECRET_MALFORMED),
        (f"{SECRET[:15]}\n{SECRET[15:]}", Reason.SECRET_MALFORMED),
        (f"{SECRET[:15]}\u00a0{SECRET[15:]}", Reason.SECRET_MALFORMED),
        (f"{SECRET}\x00", Reason.SECRET_MALFORMED),
        (f"{SECRET[:-1]}é", Reason.SECRET_MALFORMED),
        (f"{SECRET[:-1]}\ud800", Reason.SECRET_MALFORMED),
        ("Zq" * 51, Reason.SECRET_MALFORMED),
        ("Zq" * 50_000, Reason.SECRET_MALFORMED),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_secret_that_cannot_be_sent_is_refused_without_repeating_it(secret: str, reason: Reason) -> None:
    """A secret that would break the request, or is none, is refused; the message never contains any of it."""
    error = refusal(CLIENT_ID, secret)
    assert (error.field, error.reason) == ("secret", reason)
    assert "Canary" not in error.message
    assert "Zq" not in error.message


@pytest.mark.parametrize("secret", [SECRET[:-1], SECRET + "x", "x", "-" * 30, "a+b/c=" * 5, "Z" * 100, "0" * 32])
def test_an_unusual_secret_is_a_warning_only(secret: str) -> None:
    """Another length or other characters are likely a copy error, but hand-edited databases exist."""
    parsed = parse_key(CLIENT_ID, secret)
    assert parsed.warnings == (Reason.SECRET_LENGTH,)
    assert parsed.key.secret.reveal() == secret


def test_nothing_parsed_shows_its_secret() -> None:
    """Neither a parsed key nor a pasted block has the secret in its representation or its notes."""
    assert SECRET not in repr(parse_key(f" {CLIENT_ID}", f'"{SECRET}"'))
    assert SECRET not in repr(parse_block(f"client_id: {CLIENT_ID}\nclient_secret: {SECRET}"))
    assert SECRET not in repr(parse_block(f"client_id: {SECRET}\nclient_secret: {CLIENT_ID}"))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (UUID, CLIENT_ID),
        (f' "{UUID.upper()}" ', CLIENT_ID),
        (UUID.replace("-", ""), CLIENT_ID),
        (f"ization.{UUID}", CLIENT_ID),
        (CLIENT_ID, CLIENT_ID),
        (f"user.{UUID}", f"user.{UUID}"),
        ("Acme", "Acme"),
        ("", ""),
    ],
)
def test_the_offered_prefix_makes_a_client_id_of_a_uuid_only(typed: str, expected: str) -> None:
    """The button that adds the prefix changes a bare uuid and nothing else."""
    assert with_prefix(typed) == expected


VAULT_BLOCK = (
    f"client_id: {CLIENT_ID}\nclient_secret: {SECRET}\nscope: api.organization\ngrant_type: client_credentials"
)

BLOCKS = [
    VAULT_BLOCK,
    VAULT_BLOCK.replace("\n", "\r\n"),
    VAULT_BLOCK.replace("\n", "\r"),
    VAULT_BLOCK.replace(": ", ":\n"),
    VAULT_BLOCK.replace(": ", ":\n\n    ").replace("\n", "\r\n"),
    VAULT_BLOCK.replace(": ", "\t"),
    VAULT_BLOCK.replace(": ", ":\u00a0"),
    f"scope: api.organization\nclient_secret: {SECRET}\nclient_id: {CLIENT_ID}\n",
    f"Client ID\n{CLIENT_ID}\nClient secret\n{SECRET}\n",
    f"Client ID: {CLIENT_ID}\nClient Secret: {SECRET}",
    f"- **client_id:** {CLIENT_ID}\n- **client_secret:** {SECRET}",
    f"BW_CLIENTID={CLIENT_ID}\nBW_CLIENTSECRET={SECRET}\n",
    f'export BW_CLIENT_ID="{CLIENT_ID}"\r\nexport BW_CLIENT_SECRET="{SECRET}"\r\n',
    f"BW_CLIENTID='{CLIENT_ID}' # Acme\nBW_CLIENTSECRET='{SECRET}' # rotate yearly\n",
    f"$env:BW_CLIENTID = '{CLIENT_ID}'\n$env:BW_CLIENTSECRET = '{SECRET}'",
    f"set BW_CLIENTID={CLIENT_ID}\r\nset BW_CLIENTSECRET={SECRET}",
    json.dumps({"client_id": CLIENT_ID, "client_secret": SECRET, "scope": "api.organization"}),
    json.dumps({"clientId": CLIENT_ID, "clientSecret": SECRET}, indent=2),
    json.dumps({"client-id": CLIENT_ID, "client-secret": SECRET}, separators=(",", ":")),
    json.dumps({"bitwarden": {"client_secret": SECRET, "client_id": CLIENT_ID}, "name": "Acme"}, indent="\t"),
    f"{{client_id: {CLIENT_ID}, client_secret: {SECRET}, scope: api.organization}}",
    f"bitwarden:\n  client_id: {CLIENT_ID}\n  client_secret: '{SECRET}'\n",
    f"grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={SECRET}&scope=api.organization",
    f"{CLIENT_ID}\n{SECRET}",
    f"\n  {CLIENT_ID}\r\n\r\n  {SECRET}\r\n",
    f"{SECRET}\n{CLIENT_ID}\n",
    f'"{CLIENT_ID}"\n"{SECRET}"',
    f"{CLIENT_ID} {SECRET}",
    f"\ufeffclient_id: {CLIENT_ID[:20]}\u200b{CLIENT_ID[20:]}\nclient_secret: {SECRET}",
    f"Hello, here is the key of Acme: {CLIENT_ID} and {SECRET}. Regards",
    f"client_id:\nclient_secret: {SECRET}\n{CLIENT_ID}",
]


@pytest.mark.parametrize("block", BLOCKS, ids=ascii)
def test_a_pasted_block_fills_both_fields(block: str) -> None:
    """Whatever form the two values are pasted in, both are found, and the note does not repeat them."""
    pasted = parse_block(block)
    assert pasted.client_id == CLIENT_ID
    assert pasted.secret == SECRET
    assert pasted.server is None
    assert pasted.notes == ("Found in the pasted text: client ID, client secret.",)


@pytest.mark.parametrize(
    ("line", "server"),
    [
        ("BW_SERVER=https://vault.example.com", "https://vault.example.com"),
        ("server: vault.example.com:8443", "vault.example.com:8443"),
        ("url = 'https://vault.example.com/api',", "https://vault.example.com/api"),
        ('"serverUrl": "https:\\/\\/vault.example.com"', "https://vault.example.com"),
        ("Base URL: https://vault.example.com", "https://vault.example.com"),
        ("https://vault.bitwarden.eu/#/vault", "https://vault.bitwarden.eu/#/vault"),
        ("See https://bitwarden.com/help/public-api", None),
        ("server: production", None),
    ],
)
def test_a_server_in_the_block_is_found(line: str, server: str | None) -> None:
    """A labelled address, or an address on a line of its own, is taken; one in a sentence is not."""
    assert parse_block(f"{line}\n{VAULT_BLOCK}\n").server == server


@pytest.mark.parametrize(
    ("block", "client_id", "secret"),
    [
        ("", None, None),
        ("nothing of use", None, None),
        ("scope: api.organization", None, None),
        (f"client_id: {CLIENT_ID}", CLIENT_ID, None),
        (f"client_secret: {SECRET}", None, SECRET),
        ("client_secret:\nscope: api.organization", None, None),
        (f"BW_CLIENTID=\nBW_CLIENTSECRET={SECRET}", None, SECRET),
        (f"{UUID}\n{SECRET}", UUID, SECRET),
        (f"{CLIENT_ID}\nhand-made", CLIENT_ID, "hand-made"),
        (f"{CLIENT_ID}\nnot a secret", CLIENT_ID, None),
        (f"{CLIENT_ID}\n{SECRET}\n{SECRET[::-1]}", CLIENT_ID, None),
        (f"client_id: user.{UUID}\nclient_secret: {SECRET}", f"user.{UUID}", SECRET),
        (f"client_id: {SECRET}\nclient_secret: {CLIENT_ID}", SECRET, CLIENT_ID),
        ("[" * 9_000, None, None),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_only_what_is_there_is_found(block: str, client_id: str | None, secret: str | None) -> None:
    """What is missing or ambiguous stays empty, and what is mislabelled is left for `parse_key` to explain."""
    pasted = parse_block(block)
    assert pasted.client_id == client_id
    assert pasted.secret == secret


def test_a_huge_block_is_read_at_its_beginning_only() -> None:
    """At most 10,000 characters are looked at, and the person is told."""
    pasted = parse_block(VAULT_BLOCK + "\n" + "x" * 100_000)
    assert (pasted.client_id, len(pasted.notes)) == (CLIENT_ID, 2)
    assert parse_block(" " * 10_000 + VAULT_BLOCK).client_id is None


marks = st.text("\"'`“”„«»<>,; \t\n\u00a0\u200b\ufeff", max_size=12)
words = st.sampled_from(["client_id", "client secret", "clientSecret", CLIENT_ID, SECRET, UUID, "scope", "https://a.b"])
pieces = st.one_of(words, st.text(":=&{}[]\"'\n\t ,\\", max_size=4), st.text(max_size=5))
blocks = st.one_of(st.text(), st.lists(pieces, max_size=20).map("".join))
fields = st.one_of(st.text(), blocks, st.tuples(marks, words, marks).map("".join))


@given(fields)
@example(' "\u200b" ')
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """What is clean stays as it is, without a remark."""
    bare, _ = clean(text)
    assert clean(bare) == (bare, ())


@given(marks, st.sampled_from(["{0}{1}{0}", "{1}{0}", "{0}{1}"]).map(str))
def test_blanks_around_never_change_the_key(blanks: str, form: str) -> None:
    """Any mixture of blanks and invisible characters around both fields gives the same key."""
    around = "".join(character for character in blanks if character.isspace() or character in "\u200b\ufeff")
    parsed = parse_key(form.format(around, CLIENT_ID), form.format(around, SECRET))
    assert parsed.key == parse_key(CLIENT_ID, SECRET).key


@given(st.uuids(), st.sampled_from([str.upper, str.lower, str.title]), st.booleans(), st.booleans())
def test_every_spelling_of_a_uuid_gives_the_same_key(
    uuid: object, case: object, dashed: object, braces: object
) -> None:
    """Any organization's id is canonical whichever way it is spelled, and parsing the result changes nothing."""
    assert callable(case)
    text = str(uuid) if dashed else str(uuid).replace("-", "")
    typed = case(f"organization.{{{text}}}" if braces else f"organization.{text}")
    parsed = parse_key(typed, SECRET)
    assert parsed.key.client_id == f"organization.{uuid}"
    assert parse_key(parsed.key.client_id, SECRET).notes == ()


@given(fields, fields)
def test_any_two_texts_are_a_key_or_a_refusal(client_id: str, secret: str) -> None:
    """Every pair of texts gives a canonical key or a refusal with a sentence for one of the two fields."""
    result = outcome(client_id, secret)
    if isinstance(result, InputError):
        assert result.field in {"client_id", "secret"}
        assert result.message.endswith(".")
        return
    assert result.key.client_id == f"organization.{result.key.organization_id}"
    revealed = result.key.secret.reveal()
    assert revealed.isascii()
    assert revealed.isprintable()
    assert outcome(result.key.client_id, revealed) == ParsedKey(result.key, (), result.warnings)


@given(st.text("QXZJ0123456789", min_size=24, max_size=40), st.sampled_from(["", "Acme", "it@example.com", CLIENT_ID]))
def test_no_message_contains_a_secret(secret: str, beside: str) -> None:
    """However the fields are filled, what was typed as a secret is in no message and no note."""
    for result in (
        outcome(beside, f"{secret} "),
        outcome(f"{secret} ", beside),
        outcome(beside, f"{secret}\n{secret}"),
    ):
        said = result.message if isinstance(result, InputError) else " ".join(result.notes)
        assert secret not in said


@given(blocks)
def test_any_text_can_be_pasted(text: str) -> None:
    """No text makes the block reader fail, and what it found is clean."""
    pasted = parse_block(text)
    for value in (pasted.client_id, pasted.server, pasted.secret):
        assert value is None or (value and clean(value)[0] == value)
    assert pasted.notes
