"""What agents notice when a gate ends, joins or is killed, or when somebody floods its partition."""
