// Package javaconfig turns the settings of Java's producer and consumer, as users write them in properties files and
// options, into sarama configurations. Connection and security settings are tools/client's part; names, defaults and
// complaints are those of ProducerConfig.java and ConsumerConfig.java.
package javaconfig
