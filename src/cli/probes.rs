//! Metrics and probes of a verb that runs until it is told to stop.

use tokio_util::sync::CancellationToken;

use super::{ExitCode, Failure};
use crate::config::Config;
use crate::telemetry::http::{self, Port, Readiness};
use crate::telemetry::metrics;

/// Serves them at `http.listen` until `stop`, and says where.
pub async fn serve(config: &Config, readiness: &Readiness, stop: CancellationToken) -> Result<Port, Failure> {
    let recorder = metrics::install().map_err(|e| Failure::new(ExitCode::Failed, e.to_string()))?;
    let port = http::serve(&config.http.listen, recorder, readiness.clone(), stop)
        .await
        .map_err(|e| Failure::new(ExitCode::Failed, e.to_string()).at("http.listen").hint(e.hint()))?;
    tracing::info!("metrics and probes are at http://{}/metrics, /livez and /readyz", port.address);
    Ok(port)
}
