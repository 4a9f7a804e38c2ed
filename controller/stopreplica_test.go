package controller

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestStopReplicaVersion4 has the bytes of a request that Apache Kafka 3.9 sent, with the controller epoch changed to one
// that kmsg's own order of the fields could not carry.
func TestStopReplicaVersion4(t *testing.T) {
	frame, _ := hex.DecodeString("00000001" + "00" + "00000203" + "00000000000001c8" + "02" + "0673686f7274" + "02" + "00000000" + "fffffffe" + "01" + "00" + "00" + "00")
	r := &StopReplicaRequest{StopReplicaRequest: kmsg.NewStopReplicaRequest()}
	r.Version = 4
	if err := r.ReadFrom(frame); err != nil {
		t.Fatal(err)
	}
	if r.Version != 4 || r.ControllerID != 1 || r.IsKRaftController || r.ControllerEpoch != 0x203 || r.BrokerEpoch != 456 ||
		len(r.Topics) != 1 || r.Topics[0].Topic != "short" || r.Topics[0].PartitionStates[0].LeaderEpoch != -2 || !r.Topics[0].PartitionStates[0].Delete {
		t.Errorf("%+v", r)
	}
	before := []byte("before")
	if got := r.AppendTo(before); !bytes.Equal(got, append(before, frame...)) {
		t.Errorf("encoded %x", got)
	}
	if r.ResponseKind().GetVersion() != 4 {
		t.Error("the answer has another version")
	}
	r.IsKRaftController = true
	if r.AppendTo(nil)[4] != 1 {
		t.Error("the flag is lost")
	}
}

func FuzzStopReplica(f *testing.F) {
	f.Add(int16(4), []byte{0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add(int16(4), []byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, version int16, b []byte) {
		if version < 0 || version > 4 {
			return
		}
		r := &StopReplicaRequest{}
		r.Version = version
		if r.UnsafeReadFrom(b) != nil {
			return
		}
		again := &StopReplicaRequest{}
		again.Version = version
		if err := again.ReadFrom(r.AppendTo(nil)); err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v, then %+v, %v", r, again, err)
		}
	})
}
