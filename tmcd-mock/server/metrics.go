package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"emujail/tmcd-mock/store"
)

// Metrics counts what a server does. Labels come from closed lists (commands of the table, outcomes,
// transports), never from what a client sent. Register it with a prometheus registry.
type Metrics struct {
	requests    *prometheus.CounterVec
	received    prometheus.Counter
	sent        prometheus.Counter
	seconds     *prometheus.HistogramVec
	faults      *prometheus.CounterVec
	rejected    prometheus.Counter
	connections prometheus.Gauge
}

// NewMetrics returns metrics at zero.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tmcd_mock_" + name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tmcd_mock_" + name, Help: help}, labels)
	}
	return &Metrics{
		requests: vector("requests_total", "Requests by command, transport and outcome.", "command", "transport", "outcome"),
		received: counter("received_bytes_total", "Bytes of requests."),
		sent:     counter("sent_bytes_total", "Bytes of answers."),
		faults:   vector("faults_total", "Troubles made on demand, by kind.", "kind"),
		rejected: counter("rejected_total", "Connections and datagrams beyond the limits."),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tmcd_mock_request_seconds", Help: "Time from the first byte to the end of the answer.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 30},
		}, []string{"transport"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tmcd_mock_connections", Help: "Connections open now."}),
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.received, m.sent, m.faults, m.rejected, m.seconds, m.connections}
}

// Describe is of prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
}

// Collect is of prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
}

func (m *Metrics) observe(r store.Request, took time.Duration) {
	m.requests.WithLabelValues(r.Command, r.Transport, string(r.Outcome)).Inc()
	m.received.Add(float64(r.Received))
	m.sent.Add(float64(r.Sent))
	m.seconds.WithLabelValues(r.Transport).Observe(took.Seconds())
}

// fault counts one trouble.
func (m *Metrics) fault(kind string) { m.faults.WithLabelValues(kind).Inc() }
