#!/usr/bin/env bash
# usage: kafka-tools.sh VERSION DIR
# Puts the jars of Apache Kafka's console tools into DIR with Maven. VERSION is a release, or a major version, which means its
# newest release.
set -euo pipefail
version=$1 dir=$(mkdir -p "$2" && cd "$2" && pwd)
case $version in
  *.*) range=$version ;;
  *) range="[$version.0,$((version + 1)).0-alpha)" ;;
esac
case $version in
  3*) core='<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>'$range'</version></dependency>' ;;
  *) core= ;;
esac
compgen -G "$dir/kafka-clients-*.jar" >/dev/null && exit 0
cat >"$dir/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>kraal</groupId><artifactId>kafka-tools</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$range</version></dependency>
    $core
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$dir/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir"
