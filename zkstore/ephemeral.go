package zkstore

import (
	"context"

	"github.com/go-zookeeper/zk"
)

// createEphemeral makes a znode that lives as long as the session and returns its stat. A create does not tell the czxid, so
// as Kafka does (KafkaZkClient.CheckedEphemeral) the znode is created without data and filled in the same multi.
func (s *Session) createEphemeral(ctx context.Context, path string, data []byte) (*zk.Stat, error) {
	results, _, err := again(ctx, s, func() ([]zk.MultiResponse, error) {
		return s.conn.Multi(s.createRequest(path, nil, zk.FlagEphemeral), s.setRequest(path, data, 0))
	})
	if err == nil && (len(results) != 2 || results[1].Stat == nil) {
		err = errMulti
	}
	if err != nil {
		return nil, failed("create", path, err)
	}
	return results[1].Stat, nil
}
