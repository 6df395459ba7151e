"""Who is calling: tenants, their connections, and the credentials that open the faces."""
