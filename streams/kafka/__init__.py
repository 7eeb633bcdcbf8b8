"""The log on Apache Kafka: adapters of the ports, and the only user of confluent_kafka."""
