"""The desk as a service: reads alerts, keeps what is to be delivered, and sends it."""
