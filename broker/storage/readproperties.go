package storage

import (
	"fmt"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ReadMetaProperties returns what the log directories say of the broker and cluster they belong to, false if none says anything,
// without locking or changing them: it is for deciding whether they may be opened at all. Directories that cannot be read
// say nothing; those that disagree are [ErrMetaProperties].
func ReadMetaProperties(fsys vfs.FS, dirs []string) (MetaProperties, bool, error) {
	own := MetaProperties{BrokerID: meta.NoBroker}
	found := false
	for _, dir := range dirs {
		content, err := vfs.ReadFile(fsys, newDirectory(fsys, dir).file(metaPropertiesFile))
		if err != nil {
			continue
		}
		p, err := parseMetaProperties(content)
		if err != nil {
			return own, false, fmt.Errorf("%s: %w", dir, err)
		}
		if found && (p.BrokerID != own.BrokerID || p.ClusterID != own.ClusterID) {
			return own, false, fmt.Errorf("%w: %s belongs to broker %d of cluster %s, another log directory to broker %d of cluster %s",
				ErrMetaProperties, dir, p.BrokerID, p.ClusterID, own.BrokerID, own.ClusterID)
		}
		own, found = p, true
	}
	return own, found, nil
}
