"""What a terminal needs: safe texts, styles, tables that fit its width, and the log of services."""
