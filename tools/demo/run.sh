#!/usr/bin/env bash
# The main job on one machine: ZooKeeper, a broker, a topic, a message in and out. Installs Debian's zookeeper package if it is
# missing. Everything lives in .run/ and stops at the end; with KEEP=1 it stays up until Ctrl-C.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ZK_PORT=${ZK_PORT:-2181} PORT=${PORT:-9092} RUN=$PWD/.run
JARS=/usr/share/java

if [ ! -e $JARS/zookeeper.jar ]; then
  echo "== installing ZooKeeper"
  sudo=; [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -q && $sudo apt-get install -y -q --no-install-recommends zookeeper
fi
command -v java >/dev/null || { echo "java is not installed" >&2; exit 1; }

echo "== building kraal"
make -s build
KRAAL=$PWD/bin/kraal

rm -rf "$RUN"; mkdir -p "$RUN/zookeeper"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT

echo "== starting ZooKeeper on port $ZK_PORT"
printf 'dataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n' "$RUN/zookeeper" "$ZK_PORT" >"$RUN/zoo.cfg"
java -Xmx128m -cp "$JARS/*:/etc/zookeeper/conf_example" org.apache.zookeeper.server.quorum.QuorumPeerMain "$RUN/zoo.cfg" >"$RUN/zookeeper.log" 2>&1 &
pids+=($!)

echo "== starting a broker on port $PORT"
cat >"$RUN/server.properties" <<EOF
broker.id=1
zookeeper.connect=127.0.0.1:$ZK_PORT/kraal
listeners=PLAINTEXT://127.0.0.1:$PORT
log.dirs=$RUN/data
offsets.topic.replication.factor=1
kraal.http.listen=127.0.0.1:${HTTP_PORT:-9644}
EOF
"$KRAAL" server "$RUN/server.properties" >"$RUN/broker.log" 2>&1 &
pids+=($!)
for _ in $(seq 600); do
  (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break
  kill -0 "${pids[1]}" 2>/dev/null || { cat "$RUN/broker.log" >&2; exit 1; }
  sleep 0.1
done

set -x
"$KRAAL" topics --bootstrap-server "127.0.0.1:$PORT" --create --topic greetings --partitions 3 --replication-factor 1
echo "hello from $(date -u +%H:%M:%S)" | "$KRAAL" console-producer --bootstrap-server "127.0.0.1:$PORT" --topic greetings
"$KRAAL" console-consumer --bootstrap-server "127.0.0.1:$PORT" --topic greetings --from-beginning --max-messages 1 --timeout-ms 20000
"$KRAAL" topics --bootstrap-server "127.0.0.1:$PORT" --describe --topic greetings
{ set +x; } 2>/dev/null

if [ -n "${KEEP:-}" ]; then
  echo "== running: broker 127.0.0.1:$PORT, metrics http://127.0.0.1:${HTTP_PORT:-9644}/metrics; Ctrl-C stops it"
  wait
fi
echo "== done"
