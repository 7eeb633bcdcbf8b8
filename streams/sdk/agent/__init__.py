"""What an agent needs: its session, its tools, its intents, and the outcomes that it waits for."""
