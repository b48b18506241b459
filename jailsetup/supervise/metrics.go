package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"emujail/proxy/control"
)

// publish serves the counters to Prometheus until ctx ends, if the site file
// says where.
func (s *Supervisor) publish(ctx context.Context) error {
	where := s.host.Site.Metrics
	if where == "" {
		return nil
	}
	ln, err := listenMetrics(where)
	if err != nil {
		return fmt.Errorf("publish metrics: %w", err)
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(proxyCollector{s.proxy}); err != nil {
		return errors.Join(err, ln.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 20 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	s.group.Go(func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics aren't published any more", "error", err)
		}
	})
	return nil
}

func listenMetrics(where string) (net.Listener, error) {
	if filepath.IsAbs(where) {
		return bind(where, 0o600)
	}
	return net.Listen("tcp", where)
}

// A proxyCollector asks the proxy whenever it is asked itself.
type proxyCollector struct{ keeper *proxyKeeper }

// A processMetric is of the whole process, a jailMetric of each vnode.
type (
	processMetric struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value func(ProxyStatus) float64
	}
	jailMetric struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		label string // value of the second label; empty: there is none
		value func(control.Counters) float64
	}
)

const namespace = "emulab_proxy_"

func process(name, help string, kind prometheus.ValueType, value func(ProxyStatus) float64) processMetric {
	return processMetric{prometheus.NewDesc(namespace+name, help, nil, nil), kind, value}
}

func perJail(name, help string, kind prometheus.ValueType, value func(control.Counters) float64) jailMetric {
	return jailMetric{desc: prometheus.NewDesc(namespace+name, help, []string{"vnode"}, nil), kind: kind, value: value}
}

func processMetrics() []processMetric {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []processMetric{
		process("up", "1 while a proxy serves.", gauge, func(s ProxyStatus) float64 {
			if s.Up {
				return 1
			}
			return 0
		}),
		process("starts_total", "Proxies started by this supervisor.", counter, func(s ProxyStatus) float64 { return float64(s.Started) }),
		process("jails", "Jails that the proxy serves.", gauge, func(s ProxyStatus) float64 { return float64(s.Proxy.Jails) }),
		process("open_connections", "Connections of all jails.", gauge, func(s ProxyStatus) float64 { return float64(s.Proxy.Open) }),
		process("active_requests", "Requests under way.", gauge, func(s ProxyStatus) float64 { return float64(s.Proxy.Active) }),
		process("waiting_requests", "Requests that wait for their turn at tmcd.", gauge, func(s ProxyStatus) float64 { return float64(s.Proxy.Waiting) }),
		process("audit_lost_total", "Audit lines that found no room.", counter, func(s ProxyStatus) float64 { return float64(s.Proxy.AuditLost) }),
		process("accept_errors_total", "Failed accepts.", counter, func(s ProxyStatus) float64 { return float64(s.Proxy.AcceptErrs) }),
		process("tmcd_errors_total", "Failed attempts to reach a tmcd.", counter, func(s ProxyStatus) float64 { return float64(s.Proxy.TmcdErrors) }),
		process("redirects_total", "Redirects followed or refused.", counter, func(s ProxyStatus) float64 { return float64(s.Proxy.Redirects) }),
	}
}

func jailMetrics() []jailMetric {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	outcomes := prometheus.NewDesc(namespace+"requests_total", "Requests by how they ended.", []string{"vnode", "outcome"}, nil)
	return []jailMetric{
		{outcomes, counter, "ok", func(c control.Counters) float64 { return float64(c.OK) }},
		{outcomes, counter, "refused", func(c control.Counters) float64 { return float64(c.Refused) }},
		{outcomes, counter, "error", func(c control.Counters) float64 { return float64(c.Errors) }},
		perJail("jail_open_connections", "Connections of the jail.", gauge, func(c control.Counters) float64 { return float64(c.Open) }),
		perJail("connections_total", "Connections accepted.", counter, func(c control.Counters) float64 { return float64(c.Connections) }),
		perJail("spoofs_total", "Identity tags taken out of requests.", counter, func(c control.Counters) float64 { return float64(c.Spoofs) }),
		perJail("strangers_total", "Callers from outside the jail.", counter, func(c control.Counters) float64 { return float64(c.Strangers) }),
		perJail("evicted_total", "Silent connections closed for newer ones.", counter, func(c control.Counters) float64 { return float64(c.Evicted) }),
		perJail("overflow_total", "Connections refused at the limit.", counter, func(c control.Counters) float64 { return float64(c.Overflow) }),
		perJail("request_bytes_total", "Bytes of requests.", counter, func(c control.Counters) float64 { return float64(c.RequestBytes) }),
		perJail("reply_bytes_total", "Bytes of replies.", counter, func(c control.Counters) float64 { return float64(c.ReplyBytes) }),
		perJail("seconds_total", "Time of requests, from accept to end.", counter, func(c control.Counters) float64 { return float64(c.Micros) / 1e6 }),
	}
}

// Describe implements prometheus.Collector.
func (proxyCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range processMetrics() {
		out <- m.desc
	}
	for _, m := range jailMetrics() {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector. A proxy that doesn't answer is down.
func (c proxyCollector) Collect(out chan<- prometheus.Metric) {
	st, err := c.keeper.status()
	if err != nil {
		c.keeper.log.Warn("proxy doesn't tell its counters", "error", err)
		st = ProxyStatus{Started: st.Started}
	}
	for _, m := range processMetrics() {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(st))
	}
	for _, m := range jailMetrics() {
		for _, j := range st.Jails {
			labels := []string{j.VNode}
			if m.label != "" {
				labels = append(labels, m.label)
			}
			out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(j), labels...)
		}
	}
}
