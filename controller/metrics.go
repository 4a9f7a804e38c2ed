package controller

import "github.com/prometheus/client_golang/prometheus"

// metrics are the controller's own. Gauges are 0 on a controller that is not active.
type metrics struct{}

func newMetrics(c *Controller, r prometheus.Registerer) *metrics {
	m := &metrics{}
	if r == nil {
		return m
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kraal_controller_active",
		Help: "1 while this broker is the active controller.",
	}, func() float64 {
		if c.IsActive() {
			return 1
		}
		return 0
	}))
	return m
}
