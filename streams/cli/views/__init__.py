"""How what commands have found looks: tables for a person, and the same as JSON for a program."""
