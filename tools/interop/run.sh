#!/usr/bin/env bash
# Stock clients of other people against a kraal broker. Installs what is missing: Debian's packages, kafka-node and kafkajs from npm, Apache
# Kafka's console tools from Maven. Everything else lives in .run/interop and stops at the end.
# With KRAAL_BOOTSTRAP (and KRAAL_ZOOKEEPER, for kafka-node) set, that broker is used instead. Arguments go to go test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

RUN=$PWD/.run/interop JARS=/usr/share/java
export KRAAL_INTEROP_TOOLS=$RUN/tools

. tools/interop/packages.sh
need kcat command -v kcat
need npm command -v npm
need maven command -v mvn
need python3-kafka /usr/bin/python3 -c 'import kafka'
need python3-snappy /usr/bin/python3 -c 'import snappy'
need python3-lz4 /usr/bin/python3 -c 'import lz4.frame'
need python3-zstandard /usr/bin/python3 -c 'import zstandard'
need python3-confluent-kafka /usr/bin/python3 -c 'import confluent_kafka'
[ -n "${KRAAL_BOOTSTRAP:-}" ] || need zookeeper test -e $JARS/zookeeper.jar
install_packages

mkdir -p "$KRAAL_INTEROP_TOOLS"
if [ ! -e "$KRAAL_INTEROP_TOOLS/node_modules/kafka-node" ]; then
  echo "== fetching kafka-node"
  npm install --prefix "$KRAAL_INTEROP_TOOLS" --no-save --no-audit --no-fund --omit=optional --loglevel=error kafka-node@2.6.1
fi
if [ ! -e "$KRAAL_INTEROP_TOOLS/node_modules/kafkajs" ]; then
  echo "== fetching kafkajs"
  npm install --prefix "$KRAAL_INTEROP_TOOLS" --no-save --no-audit --no-fund --loglevel=error kafkajs@2.2.4
fi
echo "== fetching Apache Kafka's console tools"
for version in 3.9.1 4; do
  tools/interop/testdata/kafka-tools.sh "$version" "$KRAAL_INTEROP_TOOLS/kafka-$version"
done

if [ -z "${KRAAL_BOOTSTRAP:-}" ]; then
  ZK_PORT=${ZK_PORT:-12181} PORT=${PORT:-19092}
  [ -x bin/kraal ] || make -s build
  rm -rf "$RUN/zookeeper" "$RUN/data"; mkdir -p "$RUN/zookeeper"
  pids=()
  trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT
  echo "== starting ZooKeeper on port $ZK_PORT and a broker on port $PORT"
  printf 'dataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n' "$RUN/zookeeper" "$ZK_PORT" >"$RUN/zoo.cfg"
  java -Xmx128m -cp "$JARS/*:/etc/zookeeper/conf_example" org.apache.zookeeper.server.quorum.QuorumPeerMain "$RUN/zoo.cfg" >"$RUN/zookeeper.log" 2>&1 &
  pids+=($!)
  printf '%s\n' broker.id=1 "zookeeper.connect=127.0.0.1:$ZK_PORT" "listeners=PLAINTEXT://127.0.0.1:$PORT" "log.dirs=$RUN/data" \
    offsets.topic.replication.factor=1 transaction.state.log.replication.factor=1 transaction.state.log.min.isr=1 >"$RUN/server.properties"
  bin/kraal server "$RUN/server.properties" >"$RUN/broker.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 600); do
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break
    kill -0 "${pids[1]}" 2>/dev/null || { cat "$RUN/broker.log" >&2; exit 1; }
    sleep 0.1
  done
  export KRAAL_BOOTSTRAP=127.0.0.1:$PORT KRAAL_ZOOKEEPER=127.0.0.1:$ZK_PORT
fi

CI=true go test -tags interop -count=1 -timeout 60m -v "$@" ./tools/interop
