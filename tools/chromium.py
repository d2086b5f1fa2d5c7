"""Makes sure that Chromium is there for the browser tests, or says how to get it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def main() -> int:
    """Install Debian's package where that is possible; a missing browser fails only in CI."""
    if shutil.which("chromium"):
        return 0
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        print("Installing Debian's chromium for the browser tests.")
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            if subprocess.run([apt, *command], check=False, env=env, stdout=subprocess.DEVNULL).returncode:
                break
        if shutil.which("chromium"):
            return 0
    print(
        "Chromium is missing: the browser tests cannot run.\n"
        "  Debian, Ubuntu: sudo apt-get install chromium\n"
        "  Fedora:         sudo dnf install chromium\n"
        "  macOS:          brew install --cask chromium",
        file=sys.stderr,
    )
    return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    raise SystemExit(main())
