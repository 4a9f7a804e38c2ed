// Package jmx has collectors whose series look as Kafka's MBeans look in Prometheus, so that dashboards and alerts made for
// Apache Kafka read a kraal broker as well. What they look like is decided by the configuration of the Prometheus JMX exporter
// that nearly everybody uses, kafka-2_0_0.yml with lowercaseOutputName:
//
//	bean attribute                         series
//	Meter, Count of ...PerSec              kafka_<package>_<type>_<name>_total, a counter
//	Gauge, Value                           kafka_<package>_<type>_<name>
//	Histogram or Timer, Count              kafka_<package>_<type>_<name>_count, a counter
//	                    50thPercentile ... kafka_<package>_<type>_<name>{quantile="0.50"}, gauges
//
// Prometheus' own counters and gauges serve for the first two. A [Histogram] is the third: cheap enough for every request, since
// observing is two atomic additions and quantiles are worked out when somebody scrapes. A [Table] is for gauges of thousands of
// things, partitions above all: it keeps nothing, and asks for the values when somebody scrapes.
//
// The package knows nothing of Kafka but this shape; the names are with those who count.
package jmx
