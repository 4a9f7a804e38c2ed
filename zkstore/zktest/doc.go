// Package zktest runs a real Apache ZooKeeper for tests: the jars of Debian's package zookeeper and the java on the PATH,
// on free loopback ports, in a directory of the test, gone when the test ends.
//
// Where there is none the test is skipped, and says so; with CI=true in the environment it fails instead, so that a
// gate cannot pass by testing nothing. KRAAL_ZOOKEEPER_CLASSPATH names other jars.
package zktest
