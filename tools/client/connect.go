package client

import "github.com/urfave/cli/v2"

// Connect opens the cluster that a tool's usual options name: --bootstrap-server and, if there, --command-config.
func Connect(c *cli.Context, clientID string) (*Cluster, error) {
	return ConnectTo(c, c.String("bootstrap-server"), c.String("command-config"), clientID)
}

// ConnectTo is Connect for tools that call the options differently. The properties file may be none.
func ConnectTo(c *cli.Context, bootstrap, propertiesFile, clientID string) (*Cluster, error) {
	p := Properties{}
	if propertiesFile != "" {
		var err error
		if p, err = ReadProperties(propertiesFile); err != nil {
			return nil, err
		}
	}
	cluster, err := Open(bootstrap, p, Options{ClientID: clientID, Log: c.App.ErrWriter})
	if err != nil {
		return nil, &Error{Class: KafkaException, Message: "Failed to create new KafkaAdminClient", Cause: err}
	}
	return cluster, nil
}
