package stream

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
)

// grouped reads what a consumer group assigns to this member.
type grouped struct {
	SourceOptions
	settings *javaconfig.Consumer
}

func (g *grouped) Run(ctx context.Context, out chan<- Batch) error {
	c, err := sarama.NewClient(g.settings.Seeds, g.settings.Sarama)
	if err != nil {
		return &client.Error{Class: client.KafkaException, Message: "Failed to construct kafka consumer", Cause: err}
	}
	defer c.Close()
	group, err := sarama.NewConsumerGroupFromClient(g.Group, c)
	if err != nil {
		return err
	}
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer group.Close() // commits, leaves the group, closes Errors
	helpers.Go(func() {
		for err := range group.Errors() {
			g.Warn(err.Error())
		}
	})
	retry := backoff{first: g.settings.Retry}
	said := ""
	for ctx.Err() == nil {
		if err := g.session(ctx, c, group, out); err == nil {
			retry.reset()
			said = ""
			continue
		} else if isFinal(err) {
			return err
		} else if text := err.Error(); ctx.Err() == nil && text != said {
			g.Warn(text)
			said = text
		}
		pause(ctx, retry.more())
	}
	return nil
}

// session is a membership until the group rebalances or the selected topics change.
func (g *grouped) session(ctx context.Context, c sarama.Client, group sarama.ConsumerGroup, out chan<- Batch) error {
	topics, err := g.Selection.topics(c)
	if err != nil {
		return err
	}
	if len(topics) == 0 {
		return errNoTopic
	}
	ctx, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer stop()
	if g.Selection.matches != nil {
		watcher.Go(func() {
			for pause(ctx, g.settings.Sarama.Metadata.RefreshFrequency) {
				if now, err := g.Selection.topics(c); err == nil && !slices.Equal(now, topics) {
					stop()
				}
			}
		})
	}
	return named(group.Consume(ctx, topics, &claims{out, g.Assigned}), topics[0])
}

var errNoTopic = errors.New("no topic matches")

// claims hands the messages of a session's partitions on.
type claims struct {
	out      chan<- Batch
	assigned func()
}

func (c *claims) Setup(sarama.ConsumerGroupSession) error {
	c.assigned()
	return nil
}

func (*claims) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *claims) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	consumed := func(m *sarama.ConsumerMessage) { s.MarkMessage(m, "") }
	for {
		select {
		case <-s.Context().Done():
			return nil
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			select {
			case c.out <- Batch{takeMore(m, claim.Messages()), consumed}:
			case <-s.Context().Done():
				return nil
			}
		}
	}
}
