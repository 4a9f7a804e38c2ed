// Package logdirs is kafka-log-dirs: what the brokers' log directories hold, as JSON.
package logdirs
