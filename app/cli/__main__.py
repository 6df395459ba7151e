"""``python -m app.cli`` is the command ``keysteward``."""

from app.cli import main

main(prog_name="keysteward")
