//! A Kafka of one test's own, in which topics may have the names that they had elsewhere.

use crate::part::Part;
use crate::support;

/// See the module. It is gone when it is dropped.
pub struct Broker {
    /// What stands in the braces of the YAML's `kafka`.
    pub kafka: String,
    pub bootstrap: String,
    part: Part,
}

impl Broker {
    /// `None` where real tests are passed over.
    pub async fn start() -> Option<Broker> {
        support::bootstrap()?;
        let part = Part::start("kafka", "1").await;
        let bootstrap = part.says("LAZARET_TEST_KAFKA");
        let kafka = format!(
            "bootstrap: '{bootstrap}', properties: {{ session.timeout.ms: '6000', heartbeat.interval.ms: '1000' }}"
        );
        Some(Broker { kafka, bootstrap, part })
    }

    /// It stays connected and answers nobody.
    pub async fn pause(&self) {
        self.part.does(&["pause", "1"]).await;
    }

    pub async fn resume(&self) {
        self.part.does(&["resume", "1"]).await;
    }
}
