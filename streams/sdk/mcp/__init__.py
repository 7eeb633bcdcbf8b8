"""Use MCP servers as tools, and watch what they list."""
