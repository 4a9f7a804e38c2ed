#!/usr/bin/env bash
# One broker.id and its log directories handed to and fro between kraal and Apache Kafka 3.9.1, KRAAL_HANDOVERS times (4).
# Installs what is missing; Apache's jars come from Maven and stay in .run/interop. Arguments go to go test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tools/interop/packages.sh

need maven command -v mvn
need default-jre-headless command -v java
need zookeeper test -e /usr/share/java/zookeeper.jar
install_packages

export KRAAL_INTEROP_TOOLS=$PWD/.run/interop/tools KRAAL_HANDOVERS=${KRAAL_HANDOVERS:-4}
echo "== fetching Apache Kafka 3.9.1"
tools/interop/testdata/kafka-tools.sh 3.9.1 "$KRAAL_INTEROP_TOOLS/kafka-3.9.1"
CI=true go test -tags interop -run '^TestHandOver$' -count=1 -timeout 60m -v "$@" ./tools/interop
