// Package testkit holds what tests of several packages share. Only tests import it.
package testkit
