"""confluent-kafka: BOOTSTRAP produce TOPIC PARTITIONS CODEC FILE | BOOTSTRAP consume TOPIC PARTITIONS COUNT FILE"""
import sys

from confluent_kafka import Consumer, KafkaError, OFFSET_BEGINNING, Producer, TopicPartition

import exchange


def produce(bootstrap, topic, partitions, codec, path):
    failed = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.codec": codec, "linger.ms": 20})

    def done(error, _):
        if error is not None:
            failed.append(error)

    for i, (key, value, headers) in enumerate(exchange.read(path)):
        while True:
            try:
                producer.produce(topic, value=value, key=key, headers=headers, partition=i % partitions, on_delivery=done)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(120)
    if left or failed:
        sys.exit("%d not sent, failed: %s" % (left, failed[:3]))


def consume(bootstrap, topic, partitions, count, path):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "not-used", "enable.auto.commit": False, "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(partitions)])
    idle = 0
    with open(path, "wb") as f:
        while count and idle < 60:
            messages = consumer.consume(500, 1)
            idle = 0 if messages else idle + 1
            for m in messages:
                if m.error() is not None:
                    if m.error().code() == KafkaError._PARTITION_EOF:
                        continue
                    sys.exit(str(m.error()))
                exchange.write(f, m.partition(), m.offset(), m.key(), m.value(), m.headers() or [])
                count -= 1
    consumer.close()
    if count:
        sys.exit("%d records are missing" % count)


if __name__ == "__main__":
    _, bootstrap, verb, topic, partitions, what, path = sys.argv
    if verb == "produce":
        produce(bootstrap, topic, int(partitions), what, path)
    else:
        consume(bootstrap, topic, int(partitions), int(what), path)
