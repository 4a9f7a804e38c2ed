package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/option"
)

// Cluster runs calls against a Kafka cluster.
type Cluster struct {
	config  *sarama.Config
	seeds   []string
	timeout time.Duration // default.api.timeout.ms: how long one call may retry
	log     io.Writer

	nodes      map[string]*Node
	brokers    map[int32]string // by id: host:port
	controller int32            // -1: not known
	doubtful   bool             // brokers was right once, but one of them is not where it was
}

// Options are what differs between tools.
type Options struct {
	ClientID string    // unless client.id is set
	Log      io.Writer // gets warnings, in the format of the Java client's log
}

// Open prepares to reach a cluster. It connects to nobody yet, so it fails only for bad settings.
func Open(bootstrap string, p Properties, o Options) (*Cluster, error) {
	c := &Cluster{log: o.Log, nodes: map[string]*Node{}, controller: -1}
	var err error
	if c.config, err = p.Sarama(o.ClientID); err != nil {
		return nil, err
	}
	if c.timeout, err = p.duration("default.api.timeout.ms", time.Minute); err != nil {
		return nil, err
	}
	seeds, err := parseBootstrap(bootstrap)
	if err != nil {
		return nil, err
	}
	for _, seed := range seeds {
		host, _, _ := net.SplitHostPort(seed)
		if _, err := net.LookupHost(host); err != nil {
			c.report("WARN", fmt.Sprintf("Couldn't resolve server %s from bootstrap.servers as DNS resolution failed for %s", seed, host))
			continue
		}
		c.seeds = append(c.seeds, seed)
	}
	if len(c.seeds) == 0 {
		return nil, &Error{Class: ConfigException, Message: "No resolvable bootstrap urls given in bootstrap.servers"}
	}
	return c, nil
}

// Sarama translates the properties.
func (p Properties) Sarama(clientID string) (*sarama.Config, error) {
	conf := sarama.NewConfig()
	conf.Version = sarama.V3_9_0_0
	conf.ClientID = p.text("client.id", clientID)
	conf.Net.MaxOpenRequests = 1
	var err error
	if conf.Net.DialTimeout, err = p.duration("socket.connection.setup.timeout.ms", 10*time.Second); err != nil {
		return nil, err
	}
	if conf.Net.ReadTimeout, err = p.duration("request.timeout.ms", 30*time.Second); err != nil {
		return nil, err
	}
	conf.Net.WriteTimeout = conf.Net.ReadTimeout
	if err := p.applySecurity(conf); err != nil {
		return nil, err
	}
	if err := conf.Validate(); err != nil {
		return nil, &Error{Class: ConfigException, Message: err.Error()}
	}
	return conf, nil
}

// Config is the configuration all connections use.
func (c *Cluster) Config() *sarama.Config { return c.config }

// RequestTimeout is request.timeout.ms, which requests that wait in the broker carry.
func (c *Cluster) RequestTimeout() time.Duration { return c.config.Net.ReadTimeout }

// Close closes all connections.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.Close()
	}
	clear(c.nodes)
}

// Target chooses the broker of a call.
type Target struct {
	id         int32
	any        bool
	controller bool
}

// Any is whichever broker can be reached.
var Any = Target{any: true}

// Controller is the broker that is the active controller.
var Controller = Target{controller: true}

// Broker is the broker with this id.
func Broker(id int32) Target { return Target{id: id} }

// node returns a connection to the target.
func (c *Cluster) node(to Target) (*Node, error) {
	if to.any {
		return c.anyNode()
	}
	known := func() (string, bool) {
		id := to.id
		if to.controller {
			id = c.controller
		}
		address, ok := c.brokers[id]
		return address, ok
	}
	address, ok := known()
	if !ok || c.doubtful {
		if err := c.refresh(); err != nil {
			return nil, err
		}
		if address, ok = known(); !ok {
			return nil, errNoNode
		}
	}
	n, err := c.connect(address, to.id)
	c.doubtful = err != nil // it may be back under another address by the time of the next try
	return n, err
}

var errNoNode = errors.New("no such broker is known")

// anyNode prefers open connections, and among them, as everywhere, the bootstrap brokers in the order they were given:
// the next command will ask the same.
func (c *Cluster) anyNode() (*Node, error) {
	candidates := slices.Clone(c.seeds)
	for _, id := range slices.Sorted(maps.Keys(c.brokers)) {
		if address := c.brokers[id]; !slices.Contains(candidates, address) {
			candidates = append(candidates, address)
		}
	}
	for _, address := range candidates {
		if n, ok := c.nodes[address]; ok {
			return n, nil
		}
	}
	var last error
	for i, address := range candidates {
		n, err := c.connect(address, int32(-1-i))
		if err == nil || !retriable(err) {
			return n, err
		}
		last = err
	}
	return nil, last
}

func (c *Cluster) connect(address string, id int32) (*Node, error) {
	if n, ok := c.nodes[address]; ok {
		return n, nil
	}
	n, err := dial(address, c.config)
	if err != nil {
		err = classify(err)
		host, port, _ := net.SplitHostPort(address)
		node := fmt.Sprintf("%d (%s/%s:%s)", id, nameOf(host), addressOf(host), port)
		if retriable(err) {
			c.report("WARN", "Connection to node "+node+" could not be established. Node may not be available.")
		} else {
			c.report("ERROR", "Connection to node "+node+" failed authentication due to: "+err.Error())
		}
		return nil, err
	}
	c.nodes[address] = n
	return n, nil
}

// drop forgets a connection that failed.
func (c *Cluster) drop(n *Node) {
	n.Close()
	delete(c.nodes, n.Address)
	c.controller = -1
}

// refresh learns the brokers' addresses and which of them is the controller.
func (c *Cluster) refresh() error {
	n, err := c.anyNode()
	if err != nil {
		return err
	}
	if _, err = c.describe(n); err != nil {
		if err = classify(err); retriable(err) {
			c.drop(n)
		}
	}
	return err
}

// Describe returns the cluster's id, empty if it has none, and the ids of its brokers, sorted.
func (c *Cluster) Describe(ctx context.Context, call string) (clusterID string, brokers []int32, err error) {
	err = c.Call(ctx, call, Any, func(n *Node) error {
		var err error
		clusterID, err = c.describe(n)
		return err
	})
	return clusterID, slices.Sorted(maps.Keys(c.brokers)), err
}

// describe asks n about the cluster: with DescribeCluster, or Metadata if that is missing (before Kafka 2.8).
func (c *Cluster) describe(n *Node) (clusterID string, err error) {
	resp, err := n.DescribeCluster(&sarama.DescribeClusterRequest{})
	if errors.Is(err, sarama.ErrUnsupportedVersion) {
		resp, err := n.GetMetadata(sarama.NewMetadataRequest(c.config.Version, nil))
		if err != nil {
			return "", err
		}
		c.Note(resp)
		if resp.ClusterID != nil {
			clusterID = *resp.ClusterID
		}
		return clusterID, nil
	}
	if err != nil {
		return "", err
	}
	if err := FromKError(resp.Err, resp.ErrorMessage); err != nil {
		return "", err
	}
	c.brokers, c.controller = map[int32]string{}, resp.ControllerID
	for _, b := range resp.Brokers {
		c.brokers[b.BrokerID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	return resp.ClusterID, nil
}

// Note keeps what metadata says about brokers.
func (c *Cluster) Note(resp *sarama.MetadataResponse) {
	c.brokers, c.controller = map[int32]string{}, resp.ControllerID
	for _, b := range resp.Brokers {
		c.brokers[b.ID()] = b.Addr()
	}
}

// Metadata asks any broker for the named topics, or for all of them. It creates none.
func (c *Cluster) Metadata(ctx context.Context, call string, topics ...string) (*sarama.MetadataResponse, error) {
	var resp *sarama.MetadataResponse
	err := c.Call(ctx, call, Any, func(n *Node) error {
		var err error
		resp, err = n.GetMetadata(sarama.NewMetadataRequest(c.config.Version, topics))
		return err
	})
	if err == nil {
		c.Note(resp)
	}
	return resp, err
}

func (c *Cluster) report(level, message string) {
	if c.log != nil {
		option.Log(c.log, level, "kraal.client", "[AdminClient clientId="+c.config.ClientID+"] "+message)
	}
}

// nameOf and addressOf are the two halves of Java's way to print an address: name/number, the name empty if unknown.
func nameOf(host string) string {
	if net.ParseIP(host) != nil {
		return ""
	}
	return host
}

func addressOf(host string) string {
	if addresses, err := net.LookupHost(host); err == nil && len(addresses) > 0 {
		return strings.TrimSuffix(addresses[0], ".")
	}
	return host
}
