package javaconfig

import (
	"math"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
)

// Producer is what a Java producer's settings come to.
type Producer struct {
	Sarama *sarama.Config
	Seeds  []string

	BatchSize       int
	BufferMemory    int64
	MaxRequestSize  int
	MaxBlock        time.Duration // how long to wait for metadata
	DeliveryTimeout time.Duration

	// Idempotent is off in Sarama until somebody has found out whether the brokers can; MustBeIdempotent says that the
	// user insists.
	Idempotent, MustBeIdempotent bool

	TransactionalID string
}

// minReadTimeout is the least time to wait for an answer when the user does not say. The console producer's default of
// 1500 ms is meant for the broker's own wait for replicas; giving up on the connection that early repeats batches on
// any busy machine.
const minReadTimeout = 10 * time.Second

// maxRetries stands for Java's default of endless retries; sarama has a list of that length for each partition.
const maxRetries = 1000

// NewProducer reads the settings of a producer. requestTimeoutGiven says that request.timeout.ms was not a tool's default.
func NewProducer(p client.Properties, clientID string, requestTimeoutGiven bool) (*Producer, error) {
	conf, err := p.Sarama(clientID)
	if err != nil {
		return nil, err
	}
	v := &values{p: p}
	o := &Producer{Sarama: conf}
	if o.Seeds, err = Seeds(p); err != nil {
		return nil, err
	}
	o.BatchSize = int(v.size("batch.size", 16384, 0))
	o.BufferMemory = v.number("buffer.memory", 32<<20, 0, math.MaxInt64)
	o.MaxRequestSize = int(v.size("max.request.size", 1<<20, 0))
	o.MaxBlock = v.millis("max.block.ms", time.Minute)
	o.DeliveryTimeout = v.millis("delivery.timeout.ms", 2*time.Minute)
	o.TransactionalID = v.text("transactional.id", "")

	conf.Producer.Timeout = max(v.millis("request.timeout.ms", 30*time.Second), time.Millisecond)
	if !requestTimeoutGiven {
		conf.Net.ReadTimeout = max(conf.Net.ReadTimeout, minReadTimeout)
		conf.Net.WriteTimeout = conf.Net.ReadTimeout
	}
	conf.Producer.Partitioner = NewPartitioner(max(o.BatchSize, 1))
	conf.Producer.MaxMessageBytes = o.MaxRequestSize
	conf.Producer.Flush.Frequency = v.millis("linger.ms", 0)
	if conf.Producer.Flush.Frequency > 0 {
		conf.Producer.Flush.Bytes = max(o.BatchSize, 1)
	}
	conf.Producer.Return.Successes, conf.Producer.Return.Errors = true, true
	conf.Producer.Retry.Max = min(int(v.size("retries", math.MaxInt32, 0)), maxRetries)
	conf.Producer.Retry.Backoff = v.millis("retry.backoff.ms", 100*time.Millisecond)
	conf.Metadata.Full = false
	conf.Metadata.RefreshFrequency = max(v.millis("metadata.max.age.ms", 5*time.Minute), time.Millisecond)
	conf.Metadata.Retry.Backoff = conf.Producer.Retry.Backoff
	v.compression(conf)
	v.acks(o)
	if v.err != nil {
		return nil, v.err
	}
	if err := conf.Validate(); err != nil {
		return nil, configError(err.Error())
	}
	return o, nil
}

func (v *values) compression(conf *sarama.Config) {
	codecs := map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	name := v.oneOf("compression.type", "none", "none", "gzip", "snappy", "lz4", "zstd")
	conf.Producer.Compression = codecs[name]
	if v.text("compression."+name+".level", "") != "" {
		conf.Producer.CompressionLevel = int(v.number("compression."+name+".level", 0, math.MinInt32, math.MaxInt32))
	}
}

// acks decides about acknowledgements and with them about idempotence, which Java's producer gives up silently when
// settings do not allow it, unless it was asked for (ProducerConfig.postProcessAndValidateIdempotenceConfigs).
func (v *values) acks(o *Producer) {
	conf := o.Sarama
	switch v.oneOf("acks", "all", "all", "-1", "0", "1") {
	case "0":
		conf.Producer.RequiredAcks = sarama.NoResponse
	case "1":
		conf.Producer.RequiredAcks = sarama.WaitForLocal
	default:
		conf.Producer.RequiredAcks = sarama.WaitForAll
	}
	o.Idempotent = v.boolean("enable.idempotence", true)
	o.MustBeIdempotent = o.Idempotent && (v.text("enable.idempotence", "") != "" || o.TransactionalID != "")
	if conf.Producer.RequiredAcks != sarama.WaitForAll {
		if o.MustBeIdempotent {
			v.fail(configError("Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."))
		}
		o.Idempotent = false
	}
	if conf.Producer.Retry.Max == 0 {
		if o.MustBeIdempotent {
			v.fail(configError("Must set retries to non-zero when using the idempotent producer."))
		}
		o.Idempotent = false
	}
}
