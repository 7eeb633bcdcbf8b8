"""What others' text tells an agent to do, and what such an order dictates or calls for."""
