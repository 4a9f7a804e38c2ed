//go:build interop

package interop

import "os/exec"

// The clients of Debian's packages want Debian's Python.
const debianPython = "/usr/bin/python3"

// kafkaPython is Debian's python3-kafka: kafka-python 2.0.
func kafkaPython() client {
	return exchange(client{name: "kafka-python", limits: limits{noNullHeader: true}, missing: importable("kafka", "snappy", "lz4.frame", "zstandard")}, func(e *environment) []string {
		return []string{debianPython, "testdata/kafka_python.py", e.bootstrap}
	})
}

// confluentPython is Debian's python3-confluent-kafka, over librdkafka. Its release 1.7 dies of headers without value.
func confluentPython() client {
	return exchange(client{name: "confluent-kafka", limits: limits{noNullHeader: true}, missing: importable("confluent_kafka")}, func(e *environment) []string {
		return []string{debianPython, "testdata/confluent.py", e.bootstrap}
	})
}

func importable(modules ...string) func(*environment) string {
	return func(*environment) string {
		for _, m := range modules {
			if out, err := exec.Command(debianPython, "-c", "import "+m).CombinedOutput(); err != nil {
				return "import " + m + ": " + string(tail(out))
			}
		}
		return ""
	}
}
