// Package apiversions is kafka-broker-api-versions: which APIs in which versions each broker offers.
package apiversions
