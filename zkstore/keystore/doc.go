// Package keystore reads the key and trust stores that Kafka's configs name: PEM files, PKCS #12 and Java's JKS. What a
// file is shows in its first bytes, as it does for a JVM that finds PKCS #12 where JKS was declared.
package keystore
