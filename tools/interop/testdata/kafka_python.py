"""kafka-python: BOOTSTRAP produce TOPIC PARTITIONS CODEC FILE | BOOTSTRAP consume TOPIC PARTITIONS COUNT FILE"""
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

import exchange


def produce(bootstrap, topic, partitions, codec, path):
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", retries=5, max_in_flight_requests_per_connection=1, linger_ms=20,
                             batch_size=200000, compression_type=None if codec == "none" else codec)
    futures = []
    for i, (key, value, headers) in enumerate(exchange.read(path)):
        futures.append(producer.send(topic, value=value, key=key, headers=headers, partition=i % partitions))
    producer.flush()
    for f in futures:
        f.get(timeout=60)
    producer.close()


def consume(bootstrap, topic, partitions, count, path):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", consumer_timeout_ms=60000)
    consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
    consumer.seek_to_beginning()
    with open(path, "wb") as f:
        for m in consumer:
            exchange.write(f, m.partition, m.offset, m.key, m.value, m.headers)
            count -= 1
            if count == 0:
                break
    consumer.close()
    if count:
        sys.exit("%d records are missing" % count)


if __name__ == "__main__":
    _, bootstrap, verb, topic, partitions, what, path = sys.argv
    if verb == "produce":
        produce(bootstrap, topic, int(partitions), what, path)
    else:
        consume(bootstrap, topic, int(partitions), int(what), path)
