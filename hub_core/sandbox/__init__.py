"""The sandbox: a stand-in Bitwarden that answers as the real servers do, for trying the hub and for its tests."""

from __future__ import annotations

from hub_core.sandbox.faults import Fault
from hub_core.sandbox.organizations import SandboxOrganization, ServerName
from hub_core.sandbox.sandbox import Sandbox, endpoints_of
from hub_core.sandbox.serve import RunningSandbox, serve

__all__ = ["Fault", "RunningSandbox", "Sandbox", "SandboxOrganization", "ServerName", "endpoints_of", "serve"]
