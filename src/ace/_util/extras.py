"""The error for an optional package that is not installed."""

from __future__ import annotations

from ace.errors import ProviderMissingError


def missing_package(purpose: str, package: str, *, provider: str, command: str) -> ProviderMissingError:
    """Build the error whose message begins with `purpose`, such as "plots need"; `command` installs the package."""
    return ProviderMissingError(
        f"{purpose} the package '{package}', which is not installed",
        hint=command,
        provider=provider,
        package=package,
        command=command,
    )
