"""Joiners, movers, leavers and re-hires, by each way on which they reach a SCIM server."""

from conformance.hr.suite import SUITE

__all__ = ["SUITE"]
