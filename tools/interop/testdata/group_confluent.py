# usage: group_confluent.py BOOTSTRAP TOPIC GROUP
# confluent-kafka in a group: prints the value of every record, and leaves on SIGTERM.
import signal, sys
from confluent_kafka import Consumer

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
consumer = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': sys.argv[3], 'client.id': 'confluent-kafka', 'auto.offset.reset': 'earliest',
                     'session.timeout.ms': 10000, 'heartbeat.interval.ms': 1000, 'auto.commit.interval.ms': 1000})
consumer.subscribe([sys.argv[2]])
while not stop:
    m = consumer.poll(0.2)
    if m is None:
        continue
    if m.error():
        print(m.error(), file=sys.stderr, flush=True)
        continue
    print(m.value().decode(), flush=True)
consumer.close()
