"""What people did to the hub, in the words a person would use."""

from __future__ import annotations

from typing import Final

DEEDS: Final = {
    "acknowledge": "Acknowledged an incident",
    "badge off": "Took its badge away",
    "badge on": "Showed its badge",
    "channel add": "Added a channel",
    "channel change": "Changed a channel",
    "channel disable": "Switched a channel off",
    "channel enable": "Switched a channel on",
    "channel remove": "Removed a channel",
    "channel stop": "Switched a channel off whose receiver wants no messages",
    "channel test": "Tested a channel",
    "describe": "Changed label, tags or note",
    "edit": "Changed the server",
    "key rekey": "Changed the master key",
    "key reset": "Gave up the stored secrets",
    "key rotate": "Renewed the data key",
    "link": "Linked",
    "maintenance add": "Added a maintenance window",
    "maintenance remove": "Removed a maintenance window",
    "pause": "Paused",
    "relink": "Relinked",
    "resume": "Resumed",
    "token create": "Made an API token",
    "token revoke": "Revoked an API token",
    "unlink": "Unlinked",
}
"""By what the audit trail calls it; a test asks for each."""
