//! The names, kinds, units and help texts of all metrics. Data only.

use metrics::Unit;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! catalogue {
    ($($variant:ident $name:literal $kind:ident $unit:ident $help:literal;)*) => {
        #[derive(Clone, Copy)]
        pub enum Metric { $($variant,)* }

        impl Metric {
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => concat!("lazaret_", $name),)* }
            }

            pub fn kind(self) -> Kind {
                match self { $(Metric::$variant => Kind::$kind,)* }
            }

            pub fn unit(self) -> Unit {
                match self { $(Metric::$variant => Unit::$unit,)* }
            }

            pub fn help(self) -> &'static str {
                match self { $(Metric::$variant => $help,)* }
            }
        }
    };
}

catalogue! {
    BuildInfo "build_info" Gauge Count "Always 1; the labels say which build this is.";

    RecordsRead "records_read_total" Counter Count "Records read by a stage, by the topic they came from: input, rung, redrive, park.";
    RecordsUnaccounted "records_unaccounted" Gauge Count "Records read, less those that ended or were handed back, less those held: 0, or a record was lost.";
    RecordsProcessed "records_processed_total" Counter Count "Records that reached a durable end in a stage, by outcome.";
    StageDuration "stage_duration_seconds" Histogram Seconds "Time from the start of an attempt to its outcome.";
    StagePaused "stage_paused" Gauge Count "1 while the stage is paused for this reason, otherwise 0.";
    BreakerState "breaker_state" Gauge Count "1 for the state of the breaker between the stage and its provider, otherwise 0: closed, open (the provider counts as down), half_open (one record tries it).";
    InFlight "in_flight_records" Gauge Count "Records that are being worked on.";
    Window "window_records" Gauge Count "Records held: being worked on, waiting for their due time or their turn, on their way to Kafka.";
    Blocked "blocked_records" Gauge Count "Records held behind an earlier record of their key.";
    Outstanding "outstanding_records" Gauge Count "Records of ordered keys that are on a rung, parked, or dead and waited for.";
    OffsetSpan "offset_span_records" Gauge Count "Offsets between the committed and the highest one read, of the partition where they are most.";
    OffsetMap "offset_map_bytes" Gauge Bytes "Length of the longest offset map among the partitions' last commits; Kafka takes 4096.";
    OffsetMapDamaged "offset_map_damaged_total" Counter Count "Offset maps found in commits that could not be read and were ignored.";
    Transactions "transactions_total" Counter Count "Transactions by how they ended: committed, aborted, fenced.";
    TransactionDuration "transaction_duration_seconds" Histogram Seconds "Time from the start of a transaction to Kafka's answer to its commit.";
    TransactionSize "transaction_records" Histogram Count "Records that left the stage in one transaction.";
    ConsumerLag "consumer_lag_records" Gauge Count "Records between the committed offset and the end of the partition.";

    Lag "lag_records" Gauge Count "Records that a stage has not ended, by partition of all that it reads, as `lazaret ops` finds it on the broker: known when nobody runs the stage, too.";
    LagSeconds "lag_seconds" Gauge Seconds "How long the oldest of these has waited; of a rung, how long it is overdue.";
    LagState "lag_state" Gauge Count "1 for how the stage gets on, otherwise 0: ok, warn (falls behind), stall (stands still), stop (nobody runs it), rewind (what was committed went back).";
    LagMembers "lag_members" Gauge Count "How many members the consumer group of a stage has.";

    RetryWaiting "retry_waiting_records" Gauge Count "Records held until they are due, by rung.";
    RetryOverdue "retry_overdue_seconds" Gauge Seconds "How long the oldest record of a rung is overdue, as `lazaret ops` finds it on the broker; 0 when all wait for their time.";
    RetryLateness "retry_lateness_seconds" Histogram Seconds "Time from a record's due time to the start of its next attempt.";

    DlqRecords "dlq_records_total" Counter Count "Dead letters written, by failure code and class.";
    DlqPublishFailures "dlq_publish_failures_total" Counter Count "Dead letters that Kafka did not accept; their records are held, not lost.";

    DlqOpenRecords "dlq_open_records" Gauge Count "Dead letters that somebody has to look at, by class, as the index has them.";
    DlqOldestOpenAge "dlq_oldest_open_age_seconds" Gauge Seconds "Time since the death of the oldest open dead letter; 0 when none is open.";
    DlqSlaBreaches "dlq_sla_breaches" Gauge Count "Dead letters that are late, by what is: look, when nobody has looked at them; resolve, when they are not over.";
    DlqRetentionHeadroom "dlq_retention_headroom_seconds" Gauge Seconds "Time until Kafka may delete the oldest open dead letter, of stages with a dlq_retention; all of it when none is open, negative when it is over. What is archived does not count.";
    DlqStandingBytes "dlq_standing_bytes" Gauge Bytes "Bytes of the records of all dead letters that Kafka has, before compression.";
    DlqBudgetBytes "dlq_budget_bytes" Gauge Bytes "How many of them there may be, of stages with a dlq_budget.";
    DlqArchivedRecords "dlq_archived_records" Gauge Count "Dead letters that only the archive has.";
    DlqIndexLag "dlq_index_lag_records" Gauge Count "Records of dead letter topics and of the topic of operations that the index has not taken in.";
    DlqIndexLastApplied "dlq_index_last_applied_timestamp_seconds" Gauge Seconds "When the index of dead letters took records in last, since 1970.";

    ArchiveRecords "archive_records_total" Counter Count "Dead letters that went into the archive.";
    ArchiveBytes "archive_bytes_total" Counter Bytes "Bytes of the objects that were written into the archive.";
    ArchiveFailures "archive_failures_total" Counter Count "Passes over what is to be archived that did not succeed.";
    ArchiveLastSuccess "archive_last_success_timestamp_seconds" Gauge Seconds "When a pass over what is to be archived succeeded last, since 1970.";
    DlqGroupsOpened "dlq_groups_opened_total" Counter Count "Groups of dead letters that had no letter before, since this process began to look.";
    DlqGroupsReopened "dlq_groups_reopened_total" Counter Count "Groups of dead letters of which one died after the group was said to be resolved, since this process began to look.";
    Acts "acts_total" Counter Count "Acts on dead letters that came while this process followed the topic of operations, by deed.";

    AuditWriteFailures "audit_write_failures_total" Counter Count "Acts on dead letters that could not be written down, and so were not carried out, by this process.";

    ApiRequests "api_requests_total" Counter Count "Requests to the HTTP API, by route, method and HTTP status.";
    ApiRequestDuration "api_request_duration_seconds" Histogram Seconds "Time from a request to the HTTP API to the beginning of its answer.";

    RedriveRuns "redrive_runs" Gauge Count "The latest 200 redrives, by state.";
    RedriveRecords "redrive_records_total" Counter Count "Dead letters whose redrive this process has followed to its end, by result.";
    RedriveGateStops "redrive_gate_stops_total" Counter Count "Redrives that stopped themselves.";

    Sweeps "sweeps_total" Counter Count "Sweeps by schedule, by how they ended: done, overtaken by another, failed.";
    SweepLastDone "sweep_last_done_timestamp_seconds" Gauge Seconds "When the last sweep by schedule was done, since 1970.";
    SweepRecords "sweep_records_total" Counter Count "Dead letters that a sweep of this process did something with, by rule, what the rule does, and outcome.";

    ProviderRequests "provider_requests_total" Counter Count "Calls to model providers, by HTTP status, timeout or connect.";
    ProviderRequestDuration "provider_request_duration_seconds" Histogram Seconds "Time of a call to a model provider, connect to last byte.";
    ProviderTokens "provider_tokens_total" Counter Count "Tokens as the provider counted them, by what they were for: a record's first attempt, a retry, a redrive, or a probe of the provider.";
    ProviderCost "provider_cost_total" Counter Count "What calls to model providers cost by the prices of the configuration, in its currency.";

    LedgerDuplicatesSuppressed "ledger_duplicates_suppressed_total" Counter Count "Records whose stage had finished before; the stored result was used.";
    LedgerErrors "ledger_errors_total" Counter Count "Failed ledger operations.";

    Spans "trace_spans_total" Counter Count "Spans of traces that were to be kept, by what became of them: exported, dropped because the queue was full, failed because the collector did not take them.";
}
