package configs

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kraal-mq/kraal/tools/client"
)

// mechanisms are the SCRAM mechanisms Kafka has. minIterations holds for both, and is the default.
var mechanisms = map[string]sarama.ScramMechanismType{
	sarama.SASLTypeSCRAMSHA256: sarama.SCRAM_MECHANISM_SHA_256,
	sarama.SASLTypeSCRAMSHA512: sarama.SCRAM_MECHANISM_SHA_512,
}

const minIterations = 4096

func isScram(key string) bool { return mechanisms[key] != sarama.SCRAM_MECHANISM_UNKNOWN }

// describeCredentials prints the credentials of the named users, or of all. Users without any are left out.
func (t *tool) describeCredentials(names []string) error {
	req := &sarama.DescribeUserScramCredentialsRequest{}
	for _, name := range names {
		req.DescribeUsers = append(req.DescribeUsers, sarama.DescribeUserScramCredentialsRequestUser{Name: name})
	}
	var found []*sarama.DescribeUserScramCredentialsResult
	err := t.call("describeUserScramCredentials", client.Any, func(n *client.Node) error {
		resp, err := n.DescribeUserScramCredentials(req)
		if err != nil {
			return err
		}
		found = resp.Results
		return client.FromKError(resp.ErrorCode, resp.ErrorMessage)
	})
	slices.SortFunc(found, func(a, b *sarama.DescribeUserScramCredentialsResult) int { return strings.Compare(a.User, b.User) })
	for _, r := range found {
		if int16(r.ErrorCode) == kerr.ResourceNotFound.Code {
			continue
		}
		if err := client.FromKError(r.ErrorCode, r.ErrorMessage); err != nil {
			t.print("Error retrieving SCRAM credential configs for user-principal '%s': %s\n", r.User, client.Describe(err))
			continue
		}
		var infos []string
		for _, info := range r.CredentialInfos {
			infos = append(infos, fmt.Sprintf("%s=iterations=%d", info.Mechanism, info.Iterations))
		}
		t.print("SCRAM credential configs for user-principal '%s' are %s\n", r.User, strings.Join(infos, ", "))
	}
	return err
}

var credential = regexp.MustCompile(`^(?:iterations=(-?[0-9]*),)?password=(.*)$`)

// parseCredential reads iterations=8192,password=secret. Without iterations, or with -1, they are the minimum.
func parseCredential(mechanism, text string) (iterations int32, password string, err error) {
	m := credential.FindStringSubmatch(text)
	if m == nil {
		return 0, "", illegal("Invalid credential property %s=%s", strings.ReplaceAll(mechanism, "-", "_"), text)
	}
	if m[1] == "" || m[1] == "-1" {
		return minIterations, m[2], nil
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return 0, "", illegal("For input string: %q", m[1])
	}
	if n < minIterations {
		return 0, "", illegal("Iterations %d is less than the minimum %d required for %s", n, minIterations, mechanism)
	}
	return int32(n), m[2], nil
}

func (t *tool) alterCredentials(user string, ch changes) error {
	req := &sarama.AlterUserScramCredentialsRequest{}
	for _, name := range filter(ch.remove, isScram) {
		req.Deletions = append(req.Deletions, sarama.AlterUserScramCredentialsDelete{Name: user, Mechanism: mechanisms[name]})
	}
	for _, name := range filter(ch.added(), isScram) {
		iterations, password, err := parseCredential(name, ch.add[name])
		if err != nil {
			return err
		}
		req.Upsertions = append(req.Upsertions, sarama.AlterUserScramCredentialsUpsert{
			Name: user, Mechanism: mechanisms[name], Iterations: iterations, Salt: []byte(rand.Text()), Password: []byte(password),
		})
	}
	return t.call("alterUserScramCredentials", client.Controller, func(n *client.Node) error {
		resp, err := n.AlterUserScramCredentials(req)
		if err != nil {
			return err
		}
		for _, r := range resp.Results {
			if err := client.FromKError(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
		}
		return nil
	})
}
