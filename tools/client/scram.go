package client

import (
	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// scramClient is one SCRAM exchange in sarama's terms.
type scramClient struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

func (s *scramClient) Begin(user, password, authorization string) error {
	c, err := s.hash.NewClient(user, password, authorization)
	if err != nil {
		return err
	}
	s.ClientConversation = c.NewConversation()
	return nil
}

func scramGenerator(hash scram.HashGeneratorFcn) func() sarama.SCRAMClient {
	return func() sarama.SCRAMClient { return &scramClient{hash: hash} }
}
