"""Works as Okta's provisioning connector does, and finds what it would trip over."""

from conformance.okta.suite import SUITE

__all__ = ["SUITE"]
