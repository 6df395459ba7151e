"""The provisioning face: what identity providers say in SCIM (RFC 7643, 7644), read in their dialect."""
