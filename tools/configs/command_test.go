package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/xdg-go/scram"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// What a broker is configured to is its own business: the tool asks that broker, and alters nothing but what it was told.
func TestBrokersAreAlteredIncrementally(t *testing.T) {
	first, second := testkit.NewBroker(t), testkit.NewBroker(t)
	for _, b := range []*testkit.Broker{first, second} {
		b.Answer(int16(kmsg.DescribeCluster), func(kmsg.Request) kmsg.Response {
			resp := kmsg.NewPtrDescribeClusterResponse()
			for id, b := range map[int32]*testkit.Broker{1: first, 2: second} {
				each := kmsg.NewDescribeClusterResponseBroker()
				each.NodeID, each.Host, each.Port = id, b.Host, b.Port
				resp.Brokers = append(resp.Brokers, each)
			}
			return resp
		})
	}
	second.Answer(int16(kmsg.DescribeConfigs), func(req kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrDescribeConfigsResponse()
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, req.(*kmsg.DescribeConfigsRequest).Resources[0].ResourceName
		for name, source := range map[string]kmsg.ConfigSource{
			"ssl.key.password": kmsg.ConfigSourceDynamicBrokerConfig, "log.cleaner.threads": kmsg.ConfigSourceDynamicBrokerConfig,
			"num.io.threads": kmsg.ConfigSourceStaticBrokerConfig,
		} {
			c := kmsg.NewDescribeConfigsResponseResourceConfig()
			c.Name, c.Source, c.IsSensitive = name, source, strings.Contains(name, "password")
			if !c.IsSensitive {
				c.Value = kmsg.StringPtr("2")
			}
			r.Configs = append(r.Configs, c)
		}
		resp.Resources = append(resp.Resources, r)
		return resp
	})
	var sent []string
	second.Answer(int16(kmsg.IncrementalAlterConfigs), func(req kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		for _, asked := range req.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			for _, c := range asked.Configs {
				sent = append(sent, asked.ResourceName+" "+c.Op.String()+" "+c.Name)
			}
			r := kmsg.NewIncrementalAlterConfigsResponseResource()
			r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
			resp.Resources = append(resp.Resources, r)
		}
		return resp
	})
	run := func(line, stdout, stderr string) {
		t.Helper()
		args := append([]string{"--bootstrap-server", first.Address()}, strings.Fields(line)...)
		if o, e, _ := testkit.Run(t.Context(), Command(), args...); o != stdout || e != stderr {
			t.Errorf("%s:\nstdout %q, want %q\nstderr %q, want %q", line, o, stdout, e, stderr)
		}
	}
	run("--describe --broker 2", "Dynamic configs for broker 2 are:\n"+
		"  log.cleaner.threads=2 sensitive=false synonyms={}\n  ssl.key.password=null sensitive=true synonyms={}\n", "")
	run("--alter --broker 2 --add-config num.io.threads=9,background.threads=3 --delete-config log.cleaner.threads", "Completed updating config for broker 2.\n", "")
	run("--alter --broker 2 --delete-config num.io.threads,nope", "", "Invalid config(s): num.io.threads,nope\n")
	if got, want := strings.Join(sent, "; "), "2 SET background.threads; 2 SET num.io.threads; 2 DELETE log.cleaner.threads"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// Entity types and names pair up in the order of the command line, whichever way the default is spelt.
func TestNamesPairWithTypes(t *testing.T) {
	for line, want := range map[string]string{
		"--describe --entity-type users --entity-default --entity-type clients --entity-name app": "users= clients=app",
		"--describe --entity-type clients --entity-name app --entity-type users --entity-default": "clients=app users=",
		"--describe --entity-type users --entity-name bob --entity-type clients":                  "users=bob clients",
		"--describe --user bob --client-defaults":                                                 "users=bob clients=",
	} {
		b := testkit.NewBroker(t)
		got := ""
		b.Answer(int16(kmsg.DescribeClientQuotas), func(req kmsg.Request) kmsg.Response {
			for _, c := range req.(*kmsg.DescribeClientQuotasRequest).Components {
				got += map[string]string{"user": "users", "client-id": "clients"}[c.EntityType]
				if c.MatchType != kmsg.QuotasMatchTypeAny {
					got += "="
				}
				if c.Match != nil {
					got += *c.Match
				}
				got += " "
			}
			return kmsg.NewPtrDescribeClientQuotasResponse()
		})
		if _, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--bootstrap-server", b.Address()}, strings.Fields(line)...)...); code != 0 {
			t.Errorf("%s: %s", line, stderr)
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("%s: asked for %q, want %q", line, got, want)
		}
	}
}

// TestBeforeTheFirstBroker stores what brokers need to start into a ZooKeeper that has never seen one.
func TestBeforeTheFirstBroker(t *testing.T) {
	server := zktest.Start(t)
	run := func(line, want string) {
		t.Helper()
		stdout, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--zookeeper", server.Addr() + "/new"}, strings.Fields(line)...)...)
		if rest := strings.TrimPrefix(stdout, deprecated); code != 0 || rest != want || stderr != "" {
			t.Errorf("%s: exit code %d, stdout %q, want %q, stderr %q", line, code, rest, want, stderr)
		}
	}
	run("--alter --add-config SCRAM-SHA-512=[password=secret] --entity-type users --entity-name admin", "Completed updating config for entity: user-principal 'admin'.\n")
	run("--alter --add-config SCRAM-SHA-256=[password=other] --entity-type users --entity-name admin", "Completed updating config for entity: user-principal 'admin'.\n")
	run("--alter --delete-config SCRAM-SHA-256 --entity-type users --entity-name admin", "Completed updating config for entity: user-principal 'admin'.\n")
	run("--alter --broker 1 --add-config log.cleaner.threads=3,listener.name.external.ssl.key.password=hidden,password.encoder.secret=shared",
		"Completed updating config for entity: brokers '1'.\n")
	run("--alter --broker-defaults --add-config background.threads=12", "Completed updating config for entity: default brokers.\n")

	node := brokertest.Start(t, server.Addr()+"/new", map[string]string{"broker.id": "1", "password.encoder.secret": "shared"})
	for of, want := range map[string]string{
		"--broker=1":        "log.cleaner.threads=3 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=3",
		"--broker-defaults": "background.threads=12 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:background.threads=12",
	} {
		stdout, stderr, _ := testkit.Run(t.Context(), Command(), "--bootstrap-server", node.Addr(), "--describe", of)
		if stderr != "" || !strings.Contains(stdout, want) {
			t.Errorf("the broker has started with %s%s", stdout, stderr)
		}
	}
	for line, what := range map[string]string{
		"--alter --broker 1 --add-config log.cleaner.threads=2":        "update brokers configs: {add: {log.cleaner.threads=2}, delete: List()} - broker 1 is running",
		"--alter --broker-defaults --add-config log.cleaner.threads=2": "update brokers configs: {add: {log.cleaner.threads=2}, delete: List()} - 1 brokers are running",
		"--describe --broker 1": "describe brokers - broker 1 is running",
	} {
		want := "requirement failed: --bootstrap-server option must be specified to " + what +
			". Broker configuration operations using ZooKeeper are only supported if the affected broker(s) are not running.\n"
		_, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--zookeeper", server.Addr() + "/new"}, strings.Fields(line)...)...)
		if code != 1 || stderr != want {
			t.Errorf("%s: exit code %d, stderr %q, want %q", line, code, stderr, want)
		}
	}
	run("--alter --broker 2 --add-config log.cleaner.threads=2", "Completed updating config for entity: brokers '2'.\n")

	session, err := zkstore.Connect(t.Context(), zkstore.Options{Connect: server.Addr() + "/new"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	credentials, err := zkstore.New(session).SCRAMCredentials(t.Context(), "admin")
	if err != nil || len(credentials) != 1 {
		t.Fatalf("admin has %d credentials, %v", len(credentials), err)
	}
	checkPassword(t, credentials[zkstore.SCRAMSHA512], "secret")
}

const deprecated = "Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.\n" +
	"Use --bootstrap-server instead to specify a broker to connect to.\n"

// TestCredentialsUnderLogin: a tool that logs in to ZooKeeper protects what it creates there, as Kafka's does.
func TestCredentialsUnderLogin(t *testing.T) {
	server := zktest.Start(t, zktest.File("jaas.conf", `Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_kafka="k"; };`),
		zktest.JVM("-Djava.security.auth.login.config=DIR/jaas.conf"),
		zktest.Config("authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider"))
	file := filepath.Join(t.TempDir(), "jaas.conf")
	if err := os.WriteFile(file, []byte(`Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka" password="k"; };`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_OPTS", "-Djava.security.auth.login.config="+file)
	const line = "--alter --user admin --add-config SCRAM-SHA-512=[password=secret]"
	if stdout, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--zookeeper", server.Addr()}, strings.Fields(line)...)...); code != 0 {
		t.Fatal(stdout, stderr)
	}
	read := func(login *zkstore.SASL) error {
		session, err := zkstore.Connect(t.Context(), zkstore.Options{Connect: server.Addr(), SASL: login})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		_, err = zkstore.New(session).SCRAMCredentials(t.Context(), "admin")
		return err
	}
	if err := read(nil); !errors.Is(err, zkstore.ErrNoAuth) {
		t.Errorf("a stranger may read credentials: %v", err)
	}
	if err := read(&zkstore.SASL{Username: "kafka", Password: "k"}); err != nil {
		t.Errorf("their owner may not: %v", err)
	}
}

func TestCredentialsOverZooKeeper(t *testing.T) {
	server := zktest.Start(t)
	session, err := zkstore.Connect(t.Context(), zkstore.Options{Connect: server.Addr() + "/fleet"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	store := zkstore.New(session)
	if err := store.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Elect(t.Context(), 1, time.UnixMilli(1)); err != nil {
		t.Fatal(err)
	}
	run := func(line string, wantCode int) string {
		t.Helper()
		stdout, stderr, code := testkit.Run(t.Context(), Command(), append([]string{"--zookeeper", server.Addr() + "/fleet"}, strings.Fields(line)...)...)
		rest, ok := strings.CutPrefix(stdout, deprecated)
		if code != wantCode || !ok {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
		return rest + stderr
	}
	for _, step := range []struct {
		line string
		code int
		want string
	}{
		{"--alter --user d/ve --add-config SCRAM-SHA-512=[iterations=5000,password=sec=ret]", 0, "Completed updating config for entity: user-principal 'd/ve'.\n"},
		{"--alter --user d/ve --delete-config SCRAM-SHA-256", 1, "Invalid config(s): SCRAM-SHA-256\n"},
		{"--alter --user d/ve --add-config producer_byte_rate=1", 1, "requirement failed: --bootstrap-server option must be specified to update users configs: " +
			"{add: {producer_byte_rate=1}, delete: List()}. User configuration updates using ZooKeeper are only supported for SCRAM credential updates.\n"},
		{"--alter --broker 9 --add-config log.cleaner.threads=2,listener.name.external.ssl.key.password=x,password.encoder.secret=s", 0, "Completed updating config for entity: brokers '9'.\n"},
		{"--describe --broker 8", 0, "Configs for brokers '8' are \n"},
		{"--alter --broker-defaults --add-config background.threads=12", 0, "Completed updating config for entity: default brokers.\n"},
		{"--describe --broker-defaults", 0, "Configs for default brokers are background.threads=12\n"},
	} {
		if got := run(step.line, step.code); got != step.want {
			t.Errorf("%s: %q, want %q", step.line, got, step.want)
		}
	}
	for line, want := range map[string]string{
		"--alter --broker 9 --add-config broker.rack=r":                              "ConfigException: Cannot update these configs dynamically: Set(broker.rack)",
		"--alter --broker 9 --add-config log.cleaner.threads=x":                      "ConfigException: Invalid value x for configuration log.cleaner.threads: Not a number of type INT",
		"--alter --broker-defaults --add-config listener.name.a.ssl.keystore.type=x": "ConfigException: Cannot update these configs at default cluster level, broker id must be specified: Set(listener.name.a.ssl.keystore.type)",
		"--alter --broker 9 --add-config listener.name.a.ssl.key.password=x":         "requirement failed: password.encoder.secret must be specified to update Set(listener.name.a.ssl.key.password). Other password encoder configs",
	} {
		if got := run(line, 1); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if got := run("--describe --broker 9", 0); !strings.Contains(got, "log.cleaner.threads=2") || strings.Contains(got, "ssl.key.password=x") || strings.Contains(got, "secret") {
		t.Errorf("broker 9 is %q", got)
	}
	if got := run("--describe --entity-type users", 0); !strings.HasPrefix(got, "Configs for user-principal 'd/ve' are SCRAM-SHA-512=salt=") || !strings.HasSuffix(got, ",iterations=5000\n") {
		t.Errorf("users: %q", got)
	}
	credentials, err := store.SCRAMCredentials(t.Context(), "d/ve")
	if err != nil {
		t.Fatal(err)
	}
	checkPassword(t, credentials[zkstore.SCRAMSHA512], "sec=ret")
}

// checkPassword logs in with the password against what is stored of it.
func checkPassword(t *testing.T, stored zkstore.SCRAMCredential, password string) {
	t.Helper()
	server, err := scram.SHA512.NewServer(func(string) (scram.StoredCredentials, error) {
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(stored.Salt), Iters: stored.Iterations}, StoredKey: stored.StoredKey, ServerKey: stored.ServerKey,
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := scram.SHA512.NewClient("d", password, "")
	if err != nil {
		t.Fatal(err)
	}
	c, s := client.NewConversation(), server.NewConversation()
	message := ""
	for !s.Done() {
		if message, err = c.Step(message); err != nil {
			t.Fatal(err)
		}
		if message, err = s.Step(message); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Step(message); err != nil || !s.Valid() {
		t.Errorf("login failed: %v", err)
	}
}
