# usage: group_python.py BOOTSTRAP TOPIC GROUP
# kafka-python in a group: prints the value of every record, and leaves on SIGTERM.
import signal, sys
from kafka import KafkaConsumer

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
consumer = KafkaConsumer(sys.argv[2], bootstrap_servers=sys.argv[1], group_id=sys.argv[3], client_id='kafka-python',
                         auto_offset_reset='earliest', session_timeout_ms=10000, heartbeat_interval_ms=1000, auto_commit_interval_ms=1000)
while not stop:
    for records in consumer.poll(timeout_ms=200).values():
        for r in records:
            print(r.value.decode(), flush=True)
consumer.close()
