#!/usr/bin/env bash
# The main job on one machine: ZooKeeper, a broker, a topic, a message in and out. Needs Debian (or an Ubuntu), Go and make; installs
# Debian's ZooKeeper, and a Java to run it, where they are missing. Everything lives in .run/demo and stops at the end; with KEEP=1 it
# stays up until Ctrl-C. ZK_PORT, PORT and HTTP_PORT choose other ports.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ZK_PORT=${ZK_PORT:-2181} PORT=${PORT:-9092} HTTP_PORT=${HTTP_PORT:-9644}
RUN=$PWD/.run/demo JARS=/usr/share/java
BROKER=127.0.0.1:$PORT

fail() {
  echo "demo: $1" >&2
  [ -z "${2:-}" ] || tail -n 20 "$2" >&2
  exit 1
}

# open PORT: somebody listens there.
open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Ports first: tools would talk to a stranger's broker and never notice.
for setting in "ZK_PORT $ZK_PORT" "PORT $PORT" "HTTP_PORT $HTTP_PORT"; do
  if open "${setting#* }"; then fail "port ${setting#* } is in use: choose another with ${setting% *}=..."; fi
done

. tools/interop/packages.sh
need libzookeeper-java test -e $JARS/zookeeper.jar
need default-jre-headless command -v java
install_packages

echo "== building kraal"
command -v go >/dev/null || fail "Go is not installed"
make -s build

rm -rf "$RUN"
mkdir -p "$RUN/zookeeper"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT

# await WHAT PID LOG TEST...: waits up to a minute for something of a process that has to go on running.
await() {
  local what=$1 pid=$2 log=$3
  shift 3
  for _ in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || fail "$what has ended; the end of $log:" "$log"
    if "$@"; then return; fi
    sleep 0.2
  done
  fail "$what does not serve after a minute; the end of $log:" "$log"
}

# healthy: the broker says so. Debian without extras has no curl.
healthy() {
  { exec 3<>"/dev/tcp/127.0.0.1/$HTTP_PORT"; } 2>/dev/null || return 1
  local line=
  printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
  read -r line <&3 || true
  exec 3>&-
  [[ $line == *" 200 "* ]]
}

echo "== starting ZooKeeper on port $ZK_PORT"
cat >"$RUN/zoo.cfg" <<EOF
dataDir=$RUN/zookeeper
clientPort=$ZK_PORT
clientPortAddress=127.0.0.1
admin.enableServer=false
EOF
java -Xmx128m -cp "$JARS/zookeeper.jar:$JARS/slf4j-simple.jar:$JARS/netty-codec.jar" \
  org.apache.zookeeper.server.quorum.QuorumPeerMain "$RUN/zoo.cfg" >"$RUN/zookeeper.log" 2>&1 &
pids+=($!)
await ZooKeeper $! "$RUN/zookeeper.log" open "$ZK_PORT"

echo "== starting a broker on port $PORT"
cat >"$RUN/server.properties" <<EOF
broker.id=1
zookeeper.connect=127.0.0.1:$ZK_PORT/kraal
listeners=PLAINTEXT://$BROKER
log.dirs=$RUN/data
offsets.topic.replication.factor=1
kraal.http.listen=127.0.0.1:$HTTP_PORT
EOF
bin/kraal server "$RUN/server.properties" >"$RUN/broker.log" 2>&1 &
pids+=($!)
await "the broker" $! "$RUN/broker.log" healthy

# kraal ARGUMENTS...: shows a command and runs it.
kraal() {
  echo "+ kraal $*"
  bin/kraal "$@"
}
kraal topics --bootstrap-server "$BROKER" --create --topic greetings --partitions 3 --replication-factor 1
message="hello from $(date -u +%H:%M:%S)"
kraal console-producer --bootstrap-server "$BROKER" --topic greetings <<<"$message"
kraal console-consumer --bootstrap-server "$BROKER" --topic greetings --from-beginning --max-messages 1 --timeout-ms 20000 | tee "$RUN/consumed"
grep -qxF "$message" "$RUN/consumed" || fail "the message did not come back"
kraal topics --bootstrap-server "$BROKER" --describe --topic greetings

if [ -n "${KEEP:-}" ]; then
  echo "== running: broker $BROKER, metrics http://127.0.0.1:$HTTP_PORT/metrics, logs in $RUN; Ctrl-C stops it"
  wait
fi
echo "== done"
