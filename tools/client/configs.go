package client

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConfigResource is one resource's configuration. Values are nullable, which is why this is kmsg's type.
type ConfigResource = kmsg.DescribeConfigsResponseResource

// DescribeConfigs asks the target for the configuration of resources of one type, in the order of names. The first
// resource that failed fails it all.
func (c *Cluster) DescribeConfigs(ctx context.Context, to Target, kind kmsg.ConfigResourceType, synonyms bool, names ...string) ([]ConfigResource, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = synonyms
	for _, name := range names {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, name
		req.Resources = append(req.Resources, r)
	}
	var found []ConfigResource
	err := c.Call(ctx, "describeConfigs", to, func(n *Node) error {
		resp, err := n.Request(req, 4)
		if err != nil {
			return err
		}
		found = resp.(*kmsg.DescribeConfigsResponse).Resources
		for _, r := range found {
			if err := FromCode(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		slices.SortFunc(r.Configs, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
	}
	slices.SortStableFunc(found, func(a, b ConfigResource) int {
		return slices.Index(names, a.ResourceName) - slices.Index(names, b.ResourceName)
	})
	return found, nil
}

// IsDefault reports whether a value is the compiled default, as opposed to one that somebody set somewhere.
func IsDefault(e kmsg.DescribeConfigsResponseResourceConfig) bool {
	return e.IsDefault || e.Source == kmsg.ConfigSourceDefaultConfig
}
