"""Suites that show whether a SCIM server does what the standards say and what real clients need.

They speak to any server by its URL and a token, and import nothing of Keysteward:
``python -m conformance --url https://… --token-file … --suite rfc``.
"""
