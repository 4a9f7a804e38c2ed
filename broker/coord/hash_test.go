package coord

import "testing"

// The values are Kafka's.
func TestPartitionOf(t *testing.T) {
	for key, want := range map[string][2]int32{
		"": {0, 0}, "a": {47, 1}, "test": {48, 1}, "my-group": {12, 0}, "group-1": {49, 2}, "connect-cluster": {13, 1},
		"console-consumer-12345": {6, 0}, "my-txn-id": {11, 2}, "polygenelubricants": {0, 0}, "naïve": {25, 2},
		"日本語": {43, 2}, "😀": {49, 1},
	} {
		if got := [2]int32{PartitionOf(key, 50), PartitionOf(key, 3)}; got != want {
			t.Errorf("%q: %v, want %v", key, got, want)
		}
	}
}
