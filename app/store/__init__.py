"""Where everything is kept: engine, tables, transactions, migrations; SQLite and PostgreSQL alike."""
