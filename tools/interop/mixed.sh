#!/usr/bin/env bash
# kraal and Apache Kafka 3.9.1 in one cluster: side by side, and swapped for each other one broker at a time.
# Installs what is missing; Apache's jars come from Maven and stay in .run/interop. Arguments go to go test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tools/interop/packages.sh

need maven command -v mvn
need default-jre-headless command -v java
need zookeeper test -e /usr/share/java/zookeeper.jar
install_packages

export KRAAL_INTEROP_TOOLS=$PWD/.run/interop/tools KRAAL_MIXED=1
echo "== fetching Apache Kafka 3.9.1"
tools/interop/testdata/kafka-tools.sh 3.9.1 "$KRAAL_INTEROP_TOOLS/kafka-3.9.1"
CI=true go test -tags interop -run '^(TestMixedFleet|TestRollingSwap)$' -count=1 -timeout 60m -v "$@" ./tools/interop
