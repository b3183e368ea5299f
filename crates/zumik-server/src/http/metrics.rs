//! What Prometheus may know. Labels are operations, statuses and provider names; never ids, keys or text.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the request durations, in milliseconds.
const BUCKETS: [f64; 14] =
    [0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];

/// The metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabel, Histogram>,
    inference: Family<Inference, Counter>,
    usage_dropped: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

/// What a generation is counted under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Inference {
    /// Who answered, for example `placeholder`.
    pub(crate) provider: String,
    /// Execution profile.
    pub(crate) profile: String,
    /// Region of the provider endpoint.
    pub(crate) region: String,
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "Answers by operation and status", requests.clone());
        let durations = Family::<OperationLabel, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("http_request_duration_ms", "Time to answer, in milliseconds", durations.clone());
        let inference = Family::<Inference, Counter>::default();
        registry.register("zumik_inference_requests", "Generations", inference.clone());
        // The contract lists it. Billing is no part of this server, so nothing is ever charged.
        registry.register(
            "zumik_inference_charged_micros",
            "Charged for generations, in micro-USD",
            Counter::<u64>::default(),
        );
        let usage_dropped = Counter::default();
        registry.register(
            "zumik_usage_events_dropped",
            "Usage events that found no room while the store could not be written, or that it refused",
            usage_dropped.clone(),
        );
        Self { registry, requests, durations, inference, usage_dropped }
    }

    /// Counts one answer.
    pub(crate) fn request(&self, operation: &'static str, status: u16, elapsed: Duration) {
        self.requests.get_or_create(&RequestLabels { operation, status }).inc();
        self.durations.get_or_create(&OperationLabel { operation }).observe(elapsed.as_secs_f64() * 1_000.0);
    }

    /// Counts usage events that were dropped.
    pub(crate) fn usage_dropped(&self) -> Counter {
        self.usage_dropped.clone()
    }

    /// Counts one generation.
    pub(crate) fn inference(&self, labels: &Inference) {
        self.inference.get_or_create(labels).inc();
    }

    /// All metrics in the text format of Prometheus.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.registry)?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_contract() {
        let metrics = Metrics::new();
        metrics.request("createArtifact", 200, Duration::from_micros(700));
        let labels = ["placeholder", "managed_provider", "local"].map(str::to_owned);
        let [provider, profile, region] = labels;
        metrics.inference(&Inference { provider, profile, region });
        let text = metrics.text().unwrap();
        for line in [
            "http_requests_total{operation=\"createArtifact\",status=\"200\"} 1",
            "http_request_duration_ms_bucket{le=\"1.0\",operation=\"createArtifact\"} 1",
            "zumik_inference_requests_total{provider=\"placeholder\",profile=\"managed_provider\",region=\"local\"} 1",
            "zumik_inference_charged_micros_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
