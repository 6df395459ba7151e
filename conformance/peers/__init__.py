"""Other SCIM servers, started so that the suites can be run on them; see ``docs/conformance.md``."""
