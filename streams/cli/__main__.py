"""`python -m streams.cli` is `stoplog`."""

from streams.cli.main import main

main()
