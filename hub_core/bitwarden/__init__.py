"""The outside world, translated once: addresses, credentials, HTTP, and the wire answers of Bitwarden servers."""
