package cluster

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/testkit"
)

func TestCluster(t *testing.T) {
	b := testkit.NewBroker(t)
	id := "b_cHs-J9QTyKa3n7m5vwuA"
	b.Answer(int16(kmsg.DescribeCluster), func(kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrDescribeClusterResponse()
		resp.ClusterID = id
		return resp
	})
	run := func(want string, args ...string) {
		t.Helper()
		if stdout, stderr, code := testkit.Run(t.Context(), Command(), args...); stdout != want || stderr != "" || code != 0 {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	run("Cluster ID: b_cHs-J9QTyKa3n7m5vwuA\n", "cluster-id", "--bootstrap-server", b.Address())
	run("Cluster ID: b_cHs-J9QTyKa3n7m5vwuA\n", "cluster-id", "-b", b.Address())
	run("The target cluster does not support the broker unregistration API.\n", "unregister", "--id", "9", "-b", b.Address())
	id = ""
	run("No cluster ID found. The Kafka version is probably too old.\n", "cluster-id", "-b", b.Address())
	b.Answer(int16(kmsg.UnregisterBroker), func(req kmsg.Request) kmsg.Response {
		if got := req.(*kmsg.UnregisterBrokerRequest).BrokerID; got != 9 {
			t.Errorf("unregistered broker %d", got)
		}
		return kmsg.NewPtrUnregisterBrokerResponse()
	})
	run("Broker 9 is no longer registered.\n", "unregister", "--id", "9", "-b", b.Address())
}
