package server

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus scrapes.
type metrics struct {
	registry   *prometheus.Registry
	operations *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	statements prometheus.Histogram
	failed     prometheus.Counter
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shiplog_graphql_response_seconds", Help: "Time from the start of an operation, or of a subscription's event, to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
		}, []string{"operation"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shiplog_graphql_errors_total", Help: "Errors in answers, by code.",
		}, []string{"code"}),
		statements: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "shiplog_database_statement_seconds", Help: "Time of database statements.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 11),
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "shiplog_database_errors_total", Help: "Database statements that failed.",
		}),
	}

	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shiplog_build_info", Help: "Always 1, with the version as a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)

	m.registry.MustRegister(m.operations, m.refused, m.statements, m.failed, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	return m
}

func (m *metrics) statement(_ context.Context, _ string, took time.Duration, err error) {
	m.statements.Observe(took.Seconds())

	if err != nil {
		m.failed.Inc()
	}
}

func (m *metrics) streams(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "shiplog_streams", Help: "Open WebSocket connections and event streams.",
	}, func() float64 { return float64(count()) }))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// measured is the executor's extension that measures answers.
type measured struct{ metrics *metrics }

// ExtensionName names the extension.
func (measured) ExtensionName() string { return "Metrics" }

// Validate has nothing to check.
func (measured) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse measures an answer.
func (m measured) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	start := time.Now()
	response := next(ctx)

	kind := "refused"
	if oc := graphql.GetOperationContext(ctx); oc.Operation != nil {
		kind = string(oc.Operation.Operation)
	}

	m.metrics.operations.WithLabelValues(kind).Observe(time.Since(start).Seconds())

	if response != nil {
		for _, err := range response.Errors {
			code, _ := err.Extensions["code"].(string)
			m.metrics.refused.WithLabelValues(code).Inc()
		}
	}

	return response
}
