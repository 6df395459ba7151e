"""The SCIM schemas that ``/Schemas`` serves (RFC 7643 §7), one JSON file each; see ``app.scim.provider``."""
