"""One trial for each requirement of RFC 7643, RFC 7644, RFC 9865 and RFC 9967."""

from conformance.rfc.suite import SUITE

__all__ = ["SUITE"]
