"""A virtual company that joins, moves, renames and loses people, and what a server is held against it."""
