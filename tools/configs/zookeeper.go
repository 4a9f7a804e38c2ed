package configs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xdg-go/scram"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// znodes is the command with --zookeeper, which Kafka 3.9 keeps for what must be there before brokers can start: SCRAM
// credentials, and configurations of brokers that are not running.
type znodes struct {
	*cli.Context
	store *zkstore.Store
}

func runZooKeeper(c *cli.Context, e entity) error {
	fmt.Fprintln(c.App.Writer, "Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.\n"+
		"Use --bootstrap-server instead to specify a broker to connect to.")
	store, err := client.ZooKeeper(c.Context, c.String("zookeeper"), c.String("zk-tls-config-file"))
	if err != nil {
		return err
	}
	defer store.Session().Close()
	z := &znodes{c, store}
	if c.IsSet("alter") {
		return z.alter(e)
	}
	return z.describe(e)
}

// nodeOf says where the configuration of an entity is. There is one type, and one name or none.
func nodeOf(kind, name string) meta.Entity {
	switch {
	case name == "":
		name = meta.DefaultEntity
	case kind == users:
		name = meta.Sanitize(name)
	}
	return meta.Entity{Type: meta.EntityType(kind), Name: name}
}

// title is how the entity is printed.
func title(e meta.Entity) string {
	kind, name := string(e.Type), e.Name
	if kind == users {
		kind = "user-principal"
		if plain, err := meta.Desanitize(name); err == nil {
			name = plain
		}
	}
	if e.Name == meta.DefaultEntity {
		return "default " + kind
	}
	return kind + " '" + name + "'"
}

func (z *znodes) describe(e entity) error {
	kind := e.types[0]
	var nodes []meta.Entity
	if len(e.names) > 0 {
		nodes = []meta.Entity{nodeOf(kind, e.names[0])}
	} else {
		all, err := z.store.ConfigEntities(z.Context.Context, meta.EntityType(kind))
		if err != nil {
			return err
		}
		nodes = slices.DeleteFunc(all, func(n meta.Entity) bool { return strings.Contains(n.Name, "/") }) // of a user and a client
	}
	if kind == brokers {
		name := ""
		if len(e.names) > 0 {
			name = e.names[0]
		}
		if err := z.notRunning(name, "--bootstrap-server option must be specified to describe brokers"); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		configs, err := z.store.Config(z.Context.Context, node)
		if err != nil {
			return err
		}
		if len(configs) == 0 && kind == users && len(e.names) == 0 {
			continue // there only for the sake of the clients below it
		}
		fmt.Fprintf(z.App.Writer, "Configs for %s are %s\n", title(node), pairs(configs, ","))
	}
	return nil
}

func pairs(configs map[string]string, separator string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		texts = append(texts, key+"="+configs[key])
	}
	return strings.Join(texts, separator)
}

// notRunning refuses what is a running broker's business: that of the one named, or of any for the default.
func (z *znodes) notRunning(name, what string) error {
	const why = "Broker configuration operations using ZooKeeper are only supported if the affected broker(s) are not running."
	live, _, err := z.store.Brokers(z.Context.Context)
	if errors.Is(err, zkstore.ErrNoNode) {
		return nil
	} else if err != nil {
		return err
	}
	if name == "" {
		if len(live) > 0 {
			return illegal("requirement failed: %s - %d brokers are running. %s", what, len(live), why)
		}
		return nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if _, running := live[meta.BrokerID(id)]; err == nil && running {
		return illegal("requirement failed: %s - broker %d is running. %s", what, id, why)
	}
	return nil
}

func (z *znodes) alter(e entity) error {
	kind, name := e.types[0], e.names[0]
	ch, err := newChanges(z.Context)
	if err != nil {
		return err
	}
	removed := "List()"
	if len(ch.remove) > 0 {
		removed = listOf(ch.remove)
	}
	what := fmt.Sprintf("--bootstrap-server option must be specified to update %s configs: {add: {%s}, delete: %s}", kind, pairs(ch.add, ", "), removed)
	if kind == users {
		err = prepareCredentials(ch, what)
	} else if err = z.notRunning(name, what); err == nil {
		err = prepareBroker(ch, name)
	}
	if err != nil {
		return err
	}
	node := nodeOf(kind, name)
	configs, err := z.store.Config(z.Context.Context, node)
	if err != nil {
		return err
	}
	wrong := filter(ch.remove, func(key string) bool { _, ok := configs[key]; return !ok })
	if len(wrong) > 0 {
		return invalidConfigs("Invalid config(s)", wrong)
	}
	maps.Copy(configs, ch.add)
	for _, key := range ch.remove {
		delete(configs, key)
	}
	if err := z.store.SetConfigOffline(z.Context.Context, node, configs); err != nil {
		return err
	}
	fmt.Fprintf(z.App.Writer, "Completed updating config for entity: %s.\n", title(node))
	return nil
}

// prepareCredentials replaces passwords by what is stored of them. Users' quotas are refused.
func prepareCredentials(ch changes, what string) error {
	quota := func(key string) bool { return !isScram(key) }
	if len(filter(ch.added(), quota)) > 0 || len(filter(ch.remove, quota)) > 0 {
		return illegal("requirement failed: %s. User configuration updates using ZooKeeper are only supported for SCRAM credential updates.", what)
	}
	hashes := map[string]scram.HashGeneratorFcn{zkstore.SCRAMSHA256: scram.SHA256, zkstore.SCRAMSHA512: scram.SHA512}
	for _, mechanism := range ch.added() {
		iterations, password, err := parseCredential(mechanism, ch.add[mechanism])
		if err != nil {
			return err
		}
		conversation, err := hashes[mechanism].NewClientUnprepped("", password, "")
		if err != nil {
			return err
		}
		salt := rand.Text()
		stored, err := conversation.GetStoredCredentialsWithError(scram.KeyFactors{Salt: salt, Iters: int(iterations)})
		if err != nil {
			return err
		}
		ch.add[mechanism] = zkstore.SCRAMCredential{
			Salt: []byte(salt), StoredKey: stored.StoredKey, ServerKey: stored.ServerKey, Iterations: int(iterations),
		}.String()
	}
	return nil
}

// prepareBroker encrypts passwords with the password.encoder.* settings that come along and are not stored themselves,
// and refuses what a broker would not take.
func prepareBroker(ch changes, name string) error {
	settings := map[string]string{"zookeeper.connect": "localhost"}
	for _, key := range ch.added() {
		if strings.HasPrefix(key, "password.encoder.") {
			settings[key] = ch.add[key]
			delete(ch.add, key)
		}
	}
	level := config.PerBroker
	if name == "" {
		level = config.ClusterDefault
	}
	if err := config.CheckLevel(level, ch.add); err != nil {
		return &client.Error{Class: client.ConfigException, Message: err.Error()}
	}
	if passwords := config.PasswordKeys(ch.add); len(passwords) > 0 && settings["password.encoder.secret"] == "" {
		return illegal("requirement failed: password.encoder.secret must be specified to update %s. Other password encoder configs like cipher "+
			"algorithm and iterations may also be specified to override the default encoding parameters. Password encoder configs will not be "+
			"persisted in ZooKeeper.", setOf(passwords))
	}
	static, _, err := config.FromMap(settings)
	if err != nil {
		return illegal("%v", err)
	}
	stored, err := config.NewDynamic(static, zap.NewNop()).ToStored(level, ch.add)
	if err != nil {
		return illegal("%v", err)
	}
	maps.Copy(ch.add, stored)
	return nil
}
