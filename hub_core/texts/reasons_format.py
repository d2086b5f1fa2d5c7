"""The texts of what is recognized before anything is sent."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hub_core.model import Reason, Remedy
from hub_core.texts.text import OnOwnServer, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

_WHERE = (
    "An Owner finds the organization's key in the web vault: Admin Console → Settings → Organization info → "
    "View API key. Bitwarden asks for the master password there."
)

FORMAT: Final[Mapping[Reason, Text]] = MappingProxyType(
    {
        Reason.PERSONAL_KEY: Text(
            title="This is a personal key",
            meaning=(
                "A client ID that starts with “user.” belongs to one person, not to an organization. "
                "It opens that person's vault and cannot read an organization. This is certain."
            ),
            causes=(),
            steps=(
                _WHERE,
                "Copy the client ID that starts with “organization.” together with its secret.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.INSTALLATION_KEY: Text(
            title="This is the key of a server installation",
            meaning=(
                "A client ID that starts with “installation.” identifies a self-hosted server to Bitwarden. "
                "It cannot read an organization. This is certain."
            ),
            causes=(),
            steps=(
                _WHERE,
                "Copy the client ID that starts with “organization.” together with its secret.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.FIELDS_SWAPPED: Text(
            title="Client ID and client secret look swapped",
            meaning="The field for the secret holds something that has the form of a client ID. Nothing was sent.",
            causes=(),
            steps=(
                "Put the value that starts with “organization.” into Client ID.",
                "Put the 30 letters and digits into Client secret.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.CLIENT_ID_MISSING: Text(
            title="The client ID is missing",
            meaning="Without it the server cannot tell which organization is meant. Nothing was sent.",
            causes=(),
            steps=(_WHERE, "Copy the client_id, which starts with “organization.”, into Client ID."),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.CLIENT_ID_BARE: Text(
            title="The client ID lacks “organization.” at the front",
            meaning=(
                "Only the organization's identifier was entered. "
                "The client ID is that identifier with “organization.” before it. Nothing was sent."
            ),
            causes=(),
            steps=("Accept the suggested client ID, or copy it again in full from Organization info.",),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.CLIENT_ID_CUT: Text(
            title="The client ID is cut off",
            meaning=(
                "After “organization.” an identifier of 36 characters belongs, and some of them are missing. "
                "Nothing was sent."
            ),
            causes=("The selection ended too early while copying.", "A table or ticket shortened the text."),
            steps=(
                (
                    "Copy the client ID again from Admin Console → Settings → Organization info → View API key, "
                    "with the copy button beside it."
                ),
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.CLIENT_ID_MALFORMED: Text(
            title="This is not a client ID of an organization",
            meaning=(
                "A client ID is “organization.” followed by an identifier such as "
                "1a2b3c4d-1111-2222-3333-444455556666. What was entered has another form. Nothing was sent."
            ),
            causes=(
                "An e-mail address or the name of the organization was entered.",
                "Other text was copied along with the client ID.",
            ),
            steps=(_WHERE, "Copy only the client_id, which starts with “organization.”."),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.SECRET_MISSING: Text(
            title="The client secret is missing",
            meaning="The client ID alone opens nothing; the secret is the proof that goes with it. Nothing was sent.",
            causes=(),
            steps=(_WHERE, "Copy the client_secret into Client secret."),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.SECRET_MALFORMED: Text(
            title="The secret has characters that do not belong in it",
            meaning=(
                "A secret made by Bitwarden consists of 30 letters and digits. "
                "This one contains something else, so it was probably not copied cleanly. Nothing was sent."
            ),
            causes=(
                "Blanks, a line break or other text was copied along.",
                "An access token or another password was copied instead.",
            ),
            steps=(
                (
                    "Copy the client_secret again from Admin Console → Settings → Organization info → View API key, "
                    "with the copy button beside it."
                ),
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.SECRET_LENGTH: Text(
            title="The secret has an unusual length",
            meaning=(
                "Bitwarden makes secrets of 30 characters, and this one has another length. Its length is {got}. "
                "That is almost always a slip while copying, yet the secret may still be right."
            ),
            causes=("A character was left out or copied along.", "The secret was set by hand on a self-hosted server."),
            steps=(
                (
                    "If the server refuses the key, copy the client_secret again from Admin Console → Settings → "
                    "Organization info → View API key."
                ),
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.SECRET_LOCKED: Text(
            title="The stored secret cannot be opened here",
            meaning=(
                "The hub has no secret for this account that it can open, so nothing was sent. "
                "The key was not judged, and may still be good."
            ),
            causes=(
                "The database was brought here without the master key that belongs to it.",
                (
                    "The address of the account was changed outside the hub. A secret opens only for the address "
                    "it was entered for."
                ),
                "The stored secrets were given up with “linkhub key reset”.",
                "The stored data was altered or damaged.",
            ),
            steps=(
                (
                    "If the database was moved or restored, put the matching master key in place. "
                    "“linkhub doctor” says which one is needed."
                ),
                "Otherwise relink the account: enter the organization's key again.",
            ),
            remedy=Remedy.RELINK,
        ),
        Reason.ADDRESS_MISSING: Text(
            title="The address of the server is missing",
            meaning="A self-hosted server needs its address. Nothing was sent.",
            causes=(),
            steps=(
                "Enter the address at which people open the web vault, such as https://vault.example.com.",
                "If the organization is on a Bitwarden cloud, choose its region instead.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.ADDRESS_MALFORMED: Text(
            title="This address cannot be used",
            meaning=(
                "The hub could not read a server address from what was entered. It read “{got}”. "
                "Nothing was sent, because a guess could send the key to the wrong place."
            ),
            causes=(
                "A typing error, a blank inside, or a missing part of the host name.",
                "A user name or password stands in the address.",
                "The port is not a number from 1 to 65535.",
            ),
            steps=("Enter it as https://vault.example.com, with a port or path only if the server has one.",),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.ADDRESS_PLAINTEXT: Text(
            title="This address is not encrypted",
            meaning=(
                "With http:// the key would travel readable to everyone on the way. The host is {host}. "
                "Nothing was sent, and the key was not judged."
            ),
            causes=(),
            steps=(
                "Use https://. Most servers offer it under the same name.",
                "If the server has no https, set up a certificate for it.",
                (
                    "If you accept the risk inside a closed network, whoever runs the hub can list the host in "
                    "LINKHUB_PLAINTEXT_HOSTS."
                ),
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.ADDRESS_NOT_ALLOWED: Text(
            title="The hub may not contact this address",
            meaning=(
                "The rules of this hub exclude the address. The host was {host}. The rule is “{message}”. "
                "Nothing was sent, and the key was not judged."
            ),
            causes=(
                "The name leads to a private network, and this hub is shared and does not list that network.",
                "The name leads to the hub's own machine.",
                "A block list in your network answers with a dead address such as 0.0.0.0.",
                "The port is not among those allowed.",
            ),
            steps=(
                "Check that the address is the one you mean.",
                (
                    "If it is, ask whoever runs the hub to allow it: LINKHUB_OUTBOUND_ALLOW for hosts and networks, "
                    "LINKHUB_OUTBOUND_PORTS for ports, LINKHUB_OUTBOUND_LOOPBACK for this machine."
                ),
            ),
            remedy=Remedy.EDIT_SERVER,
        ),
        Reason.ADDRESS_OTHER_ORGANIZATION: Text(
            title="Address and client ID name different organizations",
            meaning=(
                "The pasted web vault address leads to one organization, and the client ID belongs to another. "
                "The address says {got}. The client ID says {expected}. Nothing was sent."
            ),
            causes=(),
            steps=(
                "Open the organization you want to link in the web vault.",
                "Copy the address and the key from there, or enter only the server's address without the part after #.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.LABEL_MISSING: Text(
            title="A label is missing",
            meaning="Bitwarden does not tell the hub the name of an organization, so it needs one from you.",
            causes=(),
            steps=("Enter the name by which your team knows this organization.",),
            remedy=Remedy.CORRECT_INPUT,
        ),
        Reason.CA_MALFORMED: Text(
            title="The CA certificate cannot be read",
            meaning=(
                "The text in the field is not a certificate in PEM form. It must begin with "
                "“-----BEGIN CERTIFICATE-----”. Nothing was sent."
            ),
            causes=(
                "Only a part of the file was copied.",
                "The file is in binary form (DER, PFX).",
                "A private key was pasted. It does not belong here.",
            ),
            steps=(
                "Paste the whole certificate of the authority, from its BEGIN line to its END line.",
                OnOwnServer("Ask whoever runs the server for the CA certificate in PEM form."),
                "Leave the field empty if the server has a certificate of a public authority.",
            ),
            remedy=Remedy.CORRECT_INPUT,
        ),
    }
)
