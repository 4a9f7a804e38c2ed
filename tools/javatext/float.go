package javatext

import (
	"math"
	"strconv"
	"strings"
)

// Double is Double.toString: decimal between 10^-3 and 10^7, otherwise d.dE±n.
func Double(f float64) string { return float(f, 64) }

// Float is Float.toString.
func Float(f float32) string { return float(float64(f), 32) }

func float(f float64, bits int) string {
	switch abs := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs == 0 || abs >= 1e-3 && abs < 1e7:
		return pointed(strconv.FormatFloat(f, 'f', -1, bits))
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, bits), "e")
	n, _ := strconv.Atoi(exponent) // FormatFloat has written a number there
	return pointed(mantissa) + "E" + strconv.Itoa(n)
}

func pointed(s string) string {
	if strings.Contains(s, ".") {
		return s
	}
	return s + ".0"
}
