"""The demonstration: a scripted agent, two real MCP servers, and an attack that a gate stops."""
