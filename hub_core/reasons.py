"""The closed set of reasons: why a stage of a check did not simply pass."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a stage did not simply pass: stored, documented, each with a text in `texts.py`.

    The set follows bitwarden-protocol section 14 and field-problems section 3.2; a member is added
    only where a person would do something different about it.
    """

    # recognized before anything is sent
    PERSONAL_KEY = "personal_key"
    INSTALLATION_KEY = "installation_key"
    FIELDS_SWAPPED = "fields_swapped"
    CLIENT_ID_MISSING = "client_id_missing"
    CLIENT_ID_BARE = "client_id_bare"
    CLIENT_ID_CUT = "client_id_cut"
    CLIENT_ID_MALFORMED = "client_id_malformed"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - the name of a reason
    SECRET_MALFORMED = "secret_malformed"  # noqa: S105 - the name of a reason
    SECRET_LENGTH = "secret_length"  # noqa: S105 - the name of a reason
    SECRET_LOCKED = "secret_locked"  # noqa: S105 - the name of a reason
    ADDRESS_MISSING = "address_missing"
    ADDRESS_MALFORMED = "address_malformed"
    ADDRESS_PLAINTEXT = "address_plaintext"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    ADDRESS_OTHER_ORGANIZATION = "address_other_organization"
    LABEL_MISSING = "label_missing"
    CA_MALFORMED = "ca_malformed"

    # the name and the TCP connection
    NAME_NOT_FOUND = "name_not_found"
    NAME_TIMEOUT = "name_timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TIMEOUT = "connection_timeout"
    NO_ROUTE = "no_route"
    PROXY_FAILED = "proxy_failed"

    # the certificate and the handshake
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_SELF_SIGNED = "certificate_self_signed"
    CERTIFICATE_UNKNOWN_ISSUER = "certificate_unknown_issuer"
    CERTIFICATE_INTERCEPTED = "certificate_intercepted"
    CERTIFICATE_WRONG_NAME = "certificate_wrong_name"
    CERTIFICATE_LEGACY_CA = "certificate_legacy_ca"
    CERTIFICATE_ENDS_SOON = "certificate_ends_soon"
    CLIENT_CERTIFICATE_WANTED = "client_certificate_wanted"
    TLS_FAILED = "tls_failed"
    TLS_TIMEOUT = "tls_timeout"

    # any answer: something in front, or no proper answer at all
    REDIRECTED = "redirected"
    WEB_PAGE = "web_page"
    EDGE_BLOCKED = "edge_blocked"
    EDGE_RATE_LIMITED = "edge_rate_limited"
    TRAFFIC_UNUSUAL = "traffic_unusual"
    PROXY_PASSWORD = "proxy_password"  # noqa: S105 - the name of a reason
    APPLICATION_DOWN = "application_down"
    RATE_LIMITED = "rate_limited"
    BUDGET_SPENT = "budget_spent"
    ANSWER_TIMEOUT = "answer_timeout"
    ANSWER_LOST = "answer_lost"
    ANSWER_TOO_LARGE = "answer_too_large"
    ANSWER_UNREADABLE = "answer_unreadable"
    ANSWER_UNEXPECTED = "answer_unexpected"
    SERVER_FAULT = "server_fault"

    # what the server says of itself
    API_PATH_WRONG = "api_path_wrong"
    HOSTS_MISMATCH = "hosts_mismatch"
    HOSTS_RENAMED = "hosts_renamed"
    SERVER_UNKNOWN = "server_unknown"
    CLOCK_SKEW = "clock_skew"
    CLOCK_WRONG_HERE = "clock_wrong_here"

    # the token request
    IDENTITY_PATH_WRONG = "identity_path_wrong"
    KEY_NEVER_ACCEPTED = "key_never_accepted"
    KEY_NO_LONGER_ACCEPTED = "key_no_longer_accepted"
    SCOPE_REFUSED = "scope_refused"
    GRANT_REFUSED = "grant_refused"
    REQUEST_MANGLED = "request_mangled"
    TOKEN_REQUEST_BLOCKED = "token_request_blocked"  # noqa: S105 - the name of a reason
    TOKEN_FAULT = "token_fault"  # noqa: S105 - the name of a reason
    VAULTWARDEN_UNKNOWN_ID = "vaultwarden_unknown_id"
    VAULTWARDEN_WRONG_SECRET = "vaultwarden_wrong_secret"  # noqa: S105 - the name of a reason
    VAULTWARDEN_REFUSED = "vaultwarden_refused"

    # read
    TOKEN_NOT_DELIVERED = "token_not_delivered"  # noqa: S105 - the name of a reason
    TOKEN_OF_OTHER_SERVER = "token_of_other_server"  # noqa: S105 - the name of a reason
    SERVER_CANNOT_VALIDATE = "server_cannot_validate"
    SIGNING_KEY_UNKNOWN = "signing_key_unknown"
    TOKEN_ALREADY_EXPIRED = "token_already_expired"  # noqa: S105 - the name of a reason
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"  # noqa: S105 - the name of a reason
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the name of a reason
    READ_FORBIDDEN = "read_forbidden"
    READ_API_ABSENT = "read_api_absent"
    READS_PARTLY_REFUSED = "reads_partly_refused"
    READ_FAULT = "read_fault"
    SLOW = "slow"
    KEY_OVERDUE = "key_overdue"
    MEMBERS_EMPTY = "members_empty"

    # identity
    WRONG_ORGANIZATION = "wrong_organization"
    ORGANIZATION_NOT_REPORTED = "organization_not_reported"

    # us
    STOPPED = "stopped"
    INTERNAL = "internal"
