package zkstore

import (
	"maps"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

func TestConsumerOwnersAndDeletion(t *testing.T) {
	z := open(t, zktest.Start(t))
	ctx := t.Context()
	if owners, err := z.ConsumerOwners(ctx, "nobody"); err != nil || len(owners) != 0 {
		t.Errorf("%v %v", owners, err)
	}
	writes := []ConsumerWrite{}
	for p := range int32(3) {
		writes = append(writes, ConsumerWrite{Node: ConsumerOwnerNode("g", on("t", p)), Data: ConsumerOwner("m")})
	}
	if broken, err := z.WriteConsumers(ctx, writes); err != nil || len(broken) != 0 {
		t.Fatal(broken, err)
	}
	if _, err := z.SetOffsets(ctx, "g", map[meta.TopicPartition]int64{on("t", 0): 5, on("u", 0): 6}); err != nil {
		t.Fatal(err)
	}
	want := map[meta.TopicPartition]string{on("t", 0): "m-0", on("t", 1): "m-0", on("t", 2): "m-0"}
	if owners, err := z.ConsumerOwners(ctx, "g"); err != nil || !maps.Equal(owners, want) {
		t.Errorf("%v %v", owners, err)
	}
	if err := z.DeleteConsumerTopic(ctx, "g", "t"); err != nil {
		t.Fatal(err)
	}
	offsets, _, err := z.GroupOffsets(ctx, "g")
	if err != nil || len(offsets) != 1 || offsets[on("u", 0)].Offset != 6 {
		t.Errorf("%v %v", offsets, err)
	}
	if err := z.DeleteConsumerGroup(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	if groups, err := z.OffsetGroups(ctx); err != nil || len(groups) != 0 {
		t.Errorf("%v %v", groups, err)
	}
}
