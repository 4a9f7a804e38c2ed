package broker

import (
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/quota"
)

// throttles hold the copying of replicas to rates.
type throttles struct {
	moves *quota.Replication // between log directories
}

func newThrottles(cfg *config.Config) *throttles {
	t := &throttles{moves: quota.NewReplication(int(cfg.Quota.AlterLogDirs.Num), cfg.Quota.AlterLogDirs.Size)}
	t.setLimits(cfg)
	return t
}

// subscribe follows changes of the rates.
func (t *throttles) subscribe(d *config.Dynamic) {
	d.Subscribe(config.Subscription{Name: "throttles", Keys: []string{"replica.alter.log.dirs.io.max.bytes.per.second"},
		Apply: func(_, new *config.Config) { t.setLimits(new) }})
}

func (t *throttles) setLimits(cfg *config.Config) {
	t.moves.SetLimit(cfg.Quota.AlterLogDirsMaxBytesPerSecond)
}
