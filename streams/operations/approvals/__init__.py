"""Questions to people: which are open, how they are answered, and what people have granted beyond single calls."""
