"""Loaded by every Python program a test starts: it stays on this machine, too."""

import importlib.util
from pathlib import Path

_file = Path(__file__).resolve().parents[1] / "guard.py"
_spec = importlib.util.spec_from_file_location("linkhub_test_guard", _file)
if _spec and _spec.loader:
    _guard = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_guard)
    _guard.install()
