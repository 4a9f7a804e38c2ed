package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/wire"
)

// UpdateFeatures, versions 0 and 1, for the controller (KIP-584). 1 replaces "allow downgrade" by the kind of change and knows
// dry runs. Brokers in ZooKeeper mode have no features, so no change can be made, and none deleted.

// upgradeUnknown is the kind of change that is none.
const upgradeUnknown = 0

func updateFeatures(h *Handler, c *call, req *kmsg.UpdateFeaturesRequest, resp *kmsg.UpdateFeaturesResponse) error {
	var whole error
	switch {
	case !h.clusterAllowed(c.Conn, acl.Alter):
		whole = wire.ErrClusterAuthorizationFailed
	case h.Config.Current().Broker.InterBrokerProtocol < config.V2_7_IV0:
		whole = refuse(wire.ErrInvalidRequest, "Feature versioning system is disabled.")
	case !h.Controller.IsActive():
		whole = wire.ErrNotController
	}
	if whole != nil {
		resp.ErrorCode, resp.ErrorMessage = h.codeAndMessage(whole)
		return nil
	}
	seen := make(map[string]bool)
	for i := range req.FeatureUpdates {
		u := &req.FeatureUpdates[i]
		if seen[u.Feature] {
			continue
		}
		seen[u.Feature] = true
		r := kmsg.NewUpdateFeaturesResponseResult()
		r.Feature = u.Feature
		r.ErrorCode, r.ErrorMessage = h.codeAndMessage(refuse(wire.ErrInvalidRequest, whyNoFeature(req.Version, u)))
		resp.Results = append(resp.Results, r)
	}
	return nil
}

func whyNoFeature(version int16, u *kmsg.UpdateFeaturesRequestFeatureUpdate) string {
	deletes := u.MaxVersionLevel < 1 && (version == 0 && u.AllowDowngrade || version >= 1 && u.UpgradeType > 1)
	switch {
	case u.Feature == "":
		return "Feature name can not be empty."
	case version >= 1 && u.UpgradeType == upgradeUnknown:
		return "Received unknown upgrade type."
	case deletes:
		return "Can not delete non-existing finalized feature."
	case u.MaxVersionLevel < 1:
		return "Can not provide maxVersionLevel less than 1 without allowing a downgrade."
	}
	return "Could not apply finalized feature update because the provided feature is not supported."
}
