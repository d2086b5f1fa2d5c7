"""What people paste as an organization API key: cleaned, recognized, and told apart from everything it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from hub_core.errors import InputError
from hub_core.model import ApiKey, Reason, Secret

PREFIX: Final = "organization."
SECRET_LENGTH: Final = 30
BLOCK_LIMIT: Final = 10_000

BLANKS: Final = "".join(c for c in map(chr, range(0x3001)) if c.isspace())
"""Every character that is a blank or a line break."""

INVISIBLE: Final = "".join(
    chr(code)
    for first, last in (
        (0xAD, 0xAD),
        (0x34F, 0x34F),
        (0x61C, 0x61C),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
    )
    for code in range(first, last + 1)
)
"""Characters that take part in a text without being seen: zero-width, direction marks, the byte order mark."""

_AROUND: Final = BLANKS + INVISIBLE
_REMOVE_INVISIBLE: Final = dict.fromkeys(map(ord, INVISIBLE))

_PAIRS: Final = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}",
    "\N{DOUBLE LOW-9 QUOTATION MARK}": "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}",
    "\N{LEFT SINGLE QUOTATION MARK}": "\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}",
    "\N{RIGHT SINGLE QUOTATION MARK}": "\N{RIGHT SINGLE QUOTATION MARK}",
    "\N{SINGLE LOW-9 QUOTATION MARK}": "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}",
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}",
    "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}",
    "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    "<": ">",
}
"""Opening mark to the marks that close it, in the languages people quote in."""

_LONGEST_FIELD: Final = 2_000
_LONGEST_SECRET: Final = 100
_HEX_DIGITS: Final = 32
_DASHED: Final = 36
_FIRST_GROUP: Final = 8

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_CUT: Final = re.compile(r"[0-9a-f-]*")
_CUT_BARE: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]*")
_PREFIXED: Final = re.compile(r"(organization|user|installation)\.(.*)", re.DOTALL)
_SECRET_SHAPE: Final = re.compile(rf"[A-Za-z0-9]{{{SECRET_LENGTH}}}")
_PRINTABLE: Final = re.compile(r"[!-~]+")

_EXPECTED: Final = "It is “organization.” followed by 36 characters, as shown under Settings → Organization info."


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key as it will be sent, what was changed in reading it, and what looks odd but is not refused."""

    key: ApiKey
    notes: tuple[str, ...] = ()
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was found in a pasted block; nothing in it is judged yet."""

    client_id: str | None = field(default=None, repr=False)
    """Not shown: people mislabel, so it may be the secret."""
    secret: str | None = field(default=None, repr=False)
    server: str | None = None
    notes: tuple[str, ...] = ()


def unwrapped(text: str) -> str:
    """Return the text without the blanks, invisible characters, quotation marks and list commas around it."""
    while True:
        inner = text.strip(_AROUND)
        listed = inner.rstrip(",;" + _AROUND)
        if _is_quoted(listed):
            inner = listed[1:-1]
        if inner == text:
            return text
        text = inner


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[-1] in _PAIRS.get(text[0], "")


def clean(text: str, name: str = "text") -> tuple[str, tuple[str, ...]]:
    """Return the text without what copying adds to it, and sentences that say what was removed.

    Args:
        text: what was pasted.
        name: what the sentences call it, such as `client ID`.
    """
    notes = []
    stripped = text.strip(BLANKS)
    if stripped != text:
        notes.append(f"Removed blanks or line breaks around the {name}.")
    seen = stripped.translate(_REMOVE_INVISIBLE)
    if seen != stripped:
        notes.append(f"Removed invisible characters from the {name}.")
    bare = unwrapped(seen)
    if bare != seen.strip(BLANKS):
        notes.append(f"Removed quotation marks around the {name}.")
    return bare, tuple(notes)


def parse_key(client_id: str, secret: str) -> ParsedKey:
    """Read the two fields of the form.

    Raises:
        InputError: for `client_id` or `secret`, with a sentence that contains neither the secret nor anything that
            might be one.
    """
    if len(client_id) > _LONGEST_FIELD:
        raise _wrong_id(Reason.CLIENT_ID_MALFORMED, f"This is far too long for a client ID. {_EXPECTED}")
    if len(secret) > _LONGEST_FIELD:
        raise _wrong_secret(Reason.SECRET_MALFORMED, "This is far too long for a client secret: it has 30 characters.")
    name, id_notes = clean(client_id, "client ID")
    proof, secret_notes = clean(secret, "client secret")
    _check_swapped(name, proof)
    canonical, notes = _canonical(name)
    warnings = _check_secret(proof)
    return ParsedKey(ApiKey(canonical, Secret(proof)), (*id_notes, *secret_notes, *notes), warnings)


def missing_secret() -> InputError:
    """Return what is said of an empty client secret."""
    return _wrong_secret(Reason.SECRET_MISSING, "Paste the client secret: the 30 characters below the client ID.")


def with_prefix(text: str) -> str:
    """Return `organization.<uuid>` for a uuid that lacks the prefix, or part of it; any other text cleaned only."""
    bare = clean(text)[0]
    uuid = _uuid_without_prefix(bare)
    return bare if uuid is None else PREFIX + uuid


def canonical_uuid(text: str) -> str | None:
    """Return a uuid in lower case with dashes, whatever case, braces or dashes it was written with; else `None`."""
    low = text.lower() if text.isascii() else ""
    if low.startswith("{") and low.endswith("}"):
        low = low[1:-1]
    if not _UUID.fullmatch(low):
        return None
    digits = low.replace("-", "")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _uuid_without_prefix(text: str) -> str | None:
    before, dot, rest = text.rpartition(".")
    if PREFIX.endswith((before + dot).lower()) and (before + dot).lower() != PREFIX:
        return canonical_uuid(rest)
    return None


def _check_swapped(client_id: str, secret: str) -> None:
    if not _looks_like_id(secret):
        return
    if _looks_like_id(client_id):
        raise _wrong_secret(
            Reason.SECRET_MALFORMED,
            "This is a client ID. Paste the client secret here: the 30 characters shown below the client ID.",
        )
    raise _wrong_id(
        Reason.FIELDS_SWAPPED,
        "The client ID is in the field of the client secret. Swap the two fields.",
    )


def _looks_like_id(text: str) -> bool:
    # A uuid without dashes might as well be a secret somebody made by hand.
    return bool(_PREFIXED.fullmatch(text.lower())) or ("-" in text and _uuid_without_prefix(text) is not None)


def _canonical(text: str) -> tuple[str, tuple[str, ...]]:
    if not text:
        raise _wrong_id(Reason.CLIENT_ID_MISSING, f"Paste the client ID. {_EXPECTED}")
    prefixed = _PREFIXED.fullmatch(text.lower()) if text.isascii() and "@" not in text else None
    if prefixed is None:
        raise _without_prefix(text)
    kind, rest = prefixed.groups()
    if kind == "user":
        raise _wrong_id(
            Reason.PERSONAL_KEY,
            "This is a personal API key: it begins with “user.”. An organization's key begins with “organization.” "
            "and is shown to its Owners under Settings → Organization info.",
        )
    if kind == "installation":
        raise _wrong_id(
            Reason.INSTALLATION_KEY,
            "This is the installation id of a self-hosted server: it begins with “installation.”. The organization's "
            "key begins with “organization.”.",
        )
    return _with_uuid(text, rest)


def _with_uuid(text: str, rest: str) -> tuple[str, tuple[str, ...]]:
    uuid = canonical_uuid(rest)
    if uuid is None:
        raise _cut(rest) or _wrong_id(
            Reason.CLIENT_ID_MALFORMED,
            f"What follows “organization.” is not an organization's id. {_EXPECTED}",
        )
    canonical = PREFIX + uuid
    changed = ("Wrote the client ID the way Bitwarden does: lower case, with dashes.",) if canonical != text else ()
    return canonical, changed


def _without_prefix(text: str) -> InputError:
    if _uuid_without_prefix(text) is not None:
        return _wrong_id(
            Reason.CLIENT_ID_BARE,
            "This is the organization's id without “organization.” in front of it. Add the prefix to use it.",
        )
    low = text.lower()
    cut = _cut(low) if _CUT_BARE.fullmatch(low) else None
    return cut or _wrong_id(Reason.CLIENT_ID_MALFORMED, f"{_guess(text)} {_EXPECTED}")


def _cut(rest: str) -> InputError | None:
    """Explain an id that stops early; `None` when length is not what is wrong with it."""
    digits = rest.strip("{}")
    whole = _HEX_DIGITS if "-" not in digits and len(digits) > _FIRST_GROUP else _DASHED
    missing = whole - len(digits)
    if missing <= 0 or not _CUT.fullmatch(digits):
        return None
    characters = "character is" if missing == 1 else "characters are"
    return _wrong_id(
        Reason.CLIENT_ID_CUT,
        f"The client ID was cut off: {missing} {characters} missing. Copy it again to the end.",
    )


def _guess(text: str) -> str:
    """Say what was typed instead of a client ID, without repeating it: it may be the secret."""
    if "://" in text:
        return "This is an address, not a client ID."
    if "@" in text:
        return "This is an e-mail address, not a client ID."
    if _SECRET_SHAPE.fullmatch(text):
        return "This looks like the client secret, not the client ID."
    if any(character in BLANKS for character in text) or text.isalpha():
        return "This looks like a name, not a client ID."
    return "This is not a client ID."


def _check_secret(secret: str) -> tuple[Reason, ...]:
    if not secret:
        raise missing_secret()
    if any(character in BLANKS for character in secret):
        raise _wrong_secret(
            Reason.SECRET_MALFORMED,
            "The client secret has a blank or a line break inside. Copy it again; it has 30 letters and digits.",
        )
    if not _PRINTABLE.fullmatch(secret):
        raise _wrong_secret(
            Reason.SECRET_MALFORMED,
            "The client secret contains characters no secret has. Copy it again; it has 30 letters and digits.",
        )
    if len(secret) > _LONGEST_SECRET:
        raise _wrong_secret(
            Reason.SECRET_MALFORMED,
            f"The client secret has {len(secret)} characters, and 30 are expected. Paste the secret alone.",
        )
    return () if _SECRET_SHAPE.fullmatch(secret) else (Reason.SECRET_LENGTH,)


def _wrong_id(reason: Reason, message: str) -> InputError:
    return InputError("client_id", reason, message)


def _wrong_secret(reason: Reason, message: str) -> InputError:
    return InputError("secret", reason, message)


_LABEL: Final = r"client[ _\-]?{word}[\"'*`]*"
_BETWEEN: Final = r"(?: ?=>?[ \t]?|\s?:\**\s?|[\t\n])"
_VALUE: Final = (
    r"""(?:"([^"\n]+)"|'([^'\n]+)'|"""
    r"""(?![\w.$-]*client[ _\-]?(?:id|secret)|export\b|scope\b|grant_type\b|\{["'\s]|\[)([^\s&]+))"""
)


def _labelled(word: str) -> re.Pattern[str]:
    return re.compile(_LABEL.format(word=word) + _BETWEEN + _VALUE, re.IGNORECASE)


_BLOCK_ID: Final = _labelled("id")
_BLOCK_SECRET: Final = _labelled("secret")
_BLOCK_SERVER: Final = re.compile(
    r"(?<![a-z])(?:(?:server|vault|base)?[ _-]?(?:url|address)|server|vault|host)[\"'*`]*" + _BETWEEN + _VALUE,
    re.IGNORECASE,
)
_LOOSE_ID: Final = re.compile(r"\b((?:organization|user|installation)\.[0-9a-f{}-]{8,})", re.IGNORECASE)
_LOOSE_UUID: Final = re.compile(r"(?<![\w/.-])([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])", re.IGNORECASE)
_LOOSE_SECRET: Final = re.compile(rf"(?<![\w./-])([A-Za-z0-9]{{{SECRET_LENGTH}}})(?![\w/-]|\.\w)")
_LOOSE_SERVER: Final = re.compile(r"^ ?(https?://\S+)$", re.IGNORECASE | re.MULTILINE)


def parse_block(text: str) -> Pasted:
    """Find client ID, secret and server in whatever was pasted: the vault's block, `.env` lines, JSON, two lines.

    Never raises. What is found is cleaned but not judged; `parse_key` and `parse_server` do that.
    """
    block = _BLANK_RUN.sub(_one_blank, text[:BLOCK_LIMIT].translate(_REMOVE_INVISIBLE))
    client_id = _found(block, _BLOCK_ID, _LOOSE_ID, _LOOSE_UUID)
    secret = _found(block, _BLOCK_SECRET) or _loose_secret(block, client_id)
    server = _found(block.replace("\\/", "/"), _BLOCK_SERVER, _LOOSE_SERVER, having=".")
    found = {"client ID": client_id, "client secret": secret, "server address": server}
    names = ", ".join(name for name, value in found.items() if value)
    notes = [f"Found in the pasted text: {names}." if names else "Found no key in the pasted text."]
    if len(text) > BLOCK_LIMIT:
        notes.append("Only the first 10,000 characters of the pasted text were read.")
    return Pasted(client_id, secret, server, tuple(notes))


_BLANK_RUN: Final = re.compile(r"\s+")


def _one_blank(run: re.Match[str]) -> str:
    """Tell apart only what separates a label from its value: a new line, a column, a blank."""
    if "\n" in run[0] or "\r" in run[0]:
        return "\n"
    return " " if len(run[0]) == 1 and run[0] != "\t" else "\t"


def _found(block: str, *patterns: re.Pattern[str], having: str = "") -> str | None:
    for pattern in patterns:
        for match in pattern.finditer(block):
            value = next(group for group in match.groups() if group)
            bare = clean(value)[0].rstrip(",;")
            if bare and having in bare:
                return bare
    return None


def _loose_secret(block: str, client_id: str | None) -> str | None:
    """Take the one word shaped like a secret, or the line beside the client ID when there are just two."""
    shaped = set(_LOOSE_SECRET.findall(block))
    if len(shaped) == 1:
        return str(shaped.pop())
    lines = [bare for line in block.split("\n") if (bare := clean(line)[0])]
    if client_id is None or len(lines) != 2 or client_id not in lines:  # noqa: PLR2004 - the id and the secret
        return None
    other = lines[1 - lines.index(client_id)]
    return other if _PRINTABLE.fullmatch(other) and ":" not in other else None
