"""The face for applications that ask for decisions: OpenID AuthZEN Authorization API 1.0."""
