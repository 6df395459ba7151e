"""Works as Microsoft Entra's provisioning service does, and finds what it would trip over."""

from conformance.entra.suite import SUITE

__all__ = ["SUITE"]
