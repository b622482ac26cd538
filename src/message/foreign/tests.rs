mod bounds;

use super::*;
use crate::flow::Class;
use crate::message::arbitrary;

type Header<'a> = (&'a str, &'a [u8]);

fn read_of(headers: &[Header<'_>]) -> Foreign {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())));
    read(&arbitrary::record(headers.collect())).unwrap()
}

fn origin(topic: &str, partition: i32, offset: i64, timestamp: Option<i64>) -> Option<Origin> {
    Some(Origin { topic: topic.into(), partition: Some(partition), offset: Some(offset), timestamp })
}

const LISTENER_FAILED: &str = "org.springframework.kafka.listener.ListenerExecutionFailedException";

const LISTENER_TRACE: &str = "org.springframework.kafka.listener.ListenerExecutionFailedException: Listener failed\n\
    \tat org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.decorateException(KafkaMessageListenerContainer.java:3251)\n\
    \tat java.base/java.lang.Thread.run(Thread.java:1583)\n\
    \tSuppressed: org.springframework.kafka.listener.ListenerExecutionFailedException: Restored Stack Trace\n\
    \t\tat com.acme.Orders.listen(Orders.java:31)\n\
    Caused by: com.acme.OrderRefused: order 4711 is refused:\nno such customer\n\
    \tat com.acme.Orders.check(Orders.java:48)\n\
    \t... 12 more\n\
    Caused by: java.lang.IllegalArgumentException\n\
    \tat com.acme.Customers.find(Customers.java:9)\n\
    \t... 14 more\n";

#[test]
fn a_listener_container_of_spring() {
    let letter = read_of(&[
        ("kafka_deliveryAttempt", &[0, 0, 0, 3]),
        ("kafka_dlt-exception-fqcn", LISTENER_FAILED.as_bytes()),
        ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalArgumentException"),
        ("kafka_dlt-exception-message", b"Listener failed; no such customer"),
        ("kafka_dlt-exception-stacktrace", LISTENER_TRACE.as_bytes()),
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", &7i32.to_be_bytes()),
        ("kafka_dlt-original-offset", &4_711i64.to_be_bytes()),
        ("kafka_dlt-original-timestamp", &1_795_317_199_950i64.to_be_bytes()),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", b"order-service"),
    ]);
    assert_eq!(letter.family, Family::Spring);
    assert_eq!(letter.exception.as_deref(), Some("com.acme.OrderRefused"), "not the wrapper, nor the root");
    assert_eq!(letter.message, "order 4711 is refused: no such customer");
    assert_eq!(letter.chain.len(), 3);
    assert!(
        letter.chain[0].starts_with("org.springframework.kafka.listener.ListenerExecutionFailedException: L")
    );
    assert!(
        letter.chain[1]
            .starts_with("com.acme.OrderRefused: order 4711 is refused: no such customer at com.acme")
    );
    assert!(letter.chain[2].starts_with("java.lang.IllegalArgumentException at com.acme.Customers.find"));
    assert_eq!(letter.attempts, Some(3));
    assert_eq!(letter.origin, origin("orders", 7, 4_711, Some(1_795_317_199_950)));
    assert_eq!(letter.consumer.as_deref(), Some("consumer group order-service"));
    assert_eq!(letter.failed_at, None);
}

#[test]
fn a_ladder_of_spring_tells_attempts_and_time() {
    let letter = read_of(&[
        ("retry_topic-original-timestamp", &[1, 162, 2, 28, 70, 46]),
        ("retry_topic-attempts", &[0, 0, 0, 2]),
        ("retry_topic-backoff-timestamp", &[1, 162, 2, 28, 70, 46]),
        ("kafka_original-topic", b"orders"),
        ("kafka_original-partition", &[0, 0, 0, 0]),
        ("kafka_original-offset", &[0, 0, 0, 0, 0, 0, 0, 9]),
        ("kafka_original-timestamp", &[0xff; 8]),
        ("kafka_dlt-original-consumer-group", b"orders"),
        ("kafka_exception-fqcn", LISTENER_FAILED.as_bytes()),
        ("kafka_exception-cause-fqcn", b"java.net.SocketTimeoutException"),
        ("kafka_exception-message", b"Listener failed; Read timed out"),
        ("retry_topic-attempts", &[0, 0, 0, 4]),
        ("retry_topic-backoff-timestamp", &1_795_317_203_512i64.to_be_bytes()[2..]),
    ]);
    assert_eq!(
        letter.exception.as_deref(),
        Some("java.net.SocketTimeoutException"),
        "there is no trace to look in"
    );
    assert_eq!(letter.message, "Listener failed; Read timed out");
    assert_eq!(letter.chain, ["java.net.SocketTimeoutException"]);
    assert_eq!(letter.attempts, Some(3), "the fourth was never made");
    assert_eq!(letter.origin, origin("orders", 0, 9, None), "a time of -1 is none");
    assert_eq!(letter.failed_at, Timestamp::from_millisecond(1_795_317_203_512).ok());
    assert_eq!(read_of(&[("kafka_original-topic", b"t"), ("retry_topic-attempts", &[3])]).attempts, Some(2));
}

#[test]
fn a_key_that_spring_cannot_read() {
    let letter = read_of(&[
        ("kafka_dlt-key-exception-fqcn", b"org.springframework.kafka.support.serializer.DeserializationException"),
        ("kafka_dlt-key-exception-message", b"failed to deserialize"),
        ("kafka_dlt-key-exception-stacktrace", b"org.springframework.kafka.support.serializer.DeserializationException: failed to deserialize\n\tat x"),
        ("kafka_dlt-original-topic", b"orders"),
    ]);
    let exception = letter.exception.unwrap();
    assert_eq!(class(&exception), Some(Class::Permanent), "{exception}");
    assert_eq!((letter.message.as_str(), letter.chain.len()), ("failed to deserialize", 1));
    assert_eq!(
        letter.origin,
        Some(Origin { topic: "orders".into(), partition: None, offset: None, timestamp: None })
    );
}

#[test]
fn the_binder_of_spring_is_known_by_two_of_its_names() {
    let trace = b"org.springframework.messaging.MessageHandlingException: error occurred in message handler\n\tat a.B.c(B.java:1)\nCaused by: com.acme.Broken: no\n\tat d";
    let headers: &[Header<'_>] = &[
        ("x-original-topic", b"orders"),
        ("x-original-partition", &[0, 0, 0, 1]),
        ("x-original-offset", b"12"),
        ("x-exception-fqcn", b"org.springframework.messaging.MessageHandlingException"),
        ("x-exception-message", b"error occurred in message handler"),
        ("x-exception-stacktrace", trace),
    ];
    let letter = read_of(headers);
    assert_eq!((letter.exception.as_deref(), letter.message.as_str()), (Some("com.acme.Broken"), "no"));
    assert_eq!(letter.origin, origin("orders", 1, 12, None), "an offset may be text");
    let one: Headers = [("x-original-topic".to_owned(), Some(b"orders".to_vec()))].into_iter().collect();
    assert_eq!(read(&arbitrary::record(one)), None);
}

#[test]
fn a_connector() {
    let trace = b"org.apache.kafka.connect.errors.DataException: Converting byte[] to Kafka Connect data failed due to serialization error: \n\tat org.apache.kafka.connect.json.JsonConverter.toConnectData(JsonConverter.java:333)\nCaused by: org.apache.kafka.common.errors.SerializationException: com.fasterxml.jackson.core.JsonParseException: Unrecognized token 'x'\n";
    let letter = read_of(&[
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"90112"),
        ("__connect.errors.connector.name", b"jdbc-sink"),
        ("__connect.errors.task.id", b"0"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.class.name", b"org.apache.kafka.connect.json.JsonConverter"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        (
            "__connect.errors.exception.message",
            b"Converting byte[] to Kafka Connect data failed due to serialization error: ",
        ),
        ("__connect.errors.exception.stacktrace", trace),
    ]);
    assert_eq!(letter.family, Family::KafkaConnect);
    assert_eq!(letter.exception.as_deref().and_then(class), Some(Class::Permanent));
    assert_eq!(letter.message, "Converting byte[] to Kafka Connect data failed due to serialization error:");
    assert!(
        letter.chain[1].starts_with("org.apache.kafka.common.errors.SerializationException: com.fasterxml")
    );
    assert_eq!(letter.origin, origin("orders", 3, 90_112, None));
    let consumer =
        "connector jdbc-sink, task 0, step VALUE_CONVERTER, in org.apache.kafka.connect.json.JsonConverter";
    assert_eq!(letter.consumer.as_deref(), Some(consumer));
    let letter = read_of(&[("__connect.errors.topic", b""), ("__connect.errors.partition", b"-1")]);
    assert_eq!((letter.origin, letter.consumer), (None, None), "a task that failed before it read anything");
}

#[test]
fn a_streams_application() {
    let letter = read_of(&[
        ("job-id", b"import-1"),
        ("__streams.errors.exception", b"java.lang.ArithmeticException"),
        ("__streams.errors.message", b"/ by zero"),
        (
            "__streams.errors.stacktrace",
            b"java.lang.ArithmeticException: / by zero\n\tat com.acme.Count.process(Count.java:9)\n",
        ),
        ("__streams.errors.topic", b"numbers"),
        ("__streams.errors.partition", b"0"),
        ("__streams.errors.offset", b"17"),
    ]);
    assert_eq!(letter.family, Family::KafkaStreams);
    assert_eq!(letter.exception.as_deref(), Some("java.lang.ArithmeticException"));
    assert_eq!(letter.message, "/ by zero");
    assert_eq!(
        letter.chain,
        ["java.lang.ArithmeticException: / by zero at com.acme.Count.process(Count.java:9)"]
    );
    assert_eq!(letter.origin, origin("numbers", 0, 17, None));
}

#[test]
fn a_share_group() {
    let letter = read_of(&[
        ("__dlq.errors.topic", b"orders"),
        ("__dlq.errors.partition", b"2"),
        ("__dlq.errors.offset", b"41"),
        ("__dlq.errors.group", b"couriers"),
        ("__dlq.errors.delivery.count", b"5"),
        ("__dlq.errors.message", b"Offset delivery count exceeded the threshold."),
    ]);
    assert_eq!((letter.family, letter.exception, letter.attempts), (Family::ShareGroup, None, Some(5)));
    assert_eq!(letter.message, "Offset delivery count exceeded the threshold.");
    assert_eq!(letter.origin, origin("orders", 2, 41, None));
    assert_eq!(letter.consumer.as_deref(), Some("share group couriers"));
}

#[test]
fn karafka_is_known_by_all_of_its_names() {
    let headers: &[Header<'_>] = &[
        ("source_topic", b"orders"),
        ("source_partition", b"4"),
        ("source_offset", b"8"),
        ("source_consumer_group", b"app"),
        ("source_attempts", b"3"),
        ("source_trace_id", b"0b8e5a2c"),
    ];
    let letter = read_of(headers);
    assert_eq!((letter.family, letter.exception, letter.message), (Family::Karafka, None, String::new()));
    assert_eq!((letter.origin, letter.attempts), (origin("orders", 4, 8, None), Some(3)));
    assert_eq!(letter.consumer.as_deref(), Some("consumer group app"));
    let piped = headers[..4].iter().map(|(name, value)| ((*name).to_owned(), Some(value.to_vec())));
    assert_eq!(read(&arbitrary::record(piped.collect())), None, "a record that was only passed on");
}

#[test]
fn smallrye_writes_in_front_so_that_the_first_of_a_name_is_the_latest() {
    let letter = read_of(&[
        ("dead-letter-exception-class-name", b"java.util.concurrent.CompletionException"),
        ("dead-letter-reason", b"java.lang.IllegalStateException: no price"),
        ("dead-letter-cause-class-name", b"java.lang.IllegalStateException"),
        ("dead-letter-cause", b"no price"),
        ("dead-letter-topic", b"orders-again"),
        ("dead-letter-partition", b"1"),
        ("dead-letter-offset", b"5"),
        ("dead-letter-reason", b"an earlier one"),
        ("dead-letter-topic", b"orders"),
    ]);
    assert_eq!(letter.exception.as_deref(), Some("java.lang.IllegalStateException"));
    assert_eq!(letter.message, "no price");
    assert_eq!(letter.chain, ["java.lang.IllegalStateException: no price"]);
    assert_eq!(letter.origin, origin("orders-again", 1, 5, None));
    let letter = read_of(&[
        ("delayed-retry-exception-class-name", b"java.lang.RuntimeException"),
        ("delayed-retry-reason", b"boom"),
        ("delayed-retry-topic", b"orders-retry_20000"),
        ("delayed-retry-partition", b"1"),
        ("delayed-retry-offset", b"5"),
        ("delayed-retry-count", b"2"),
    ]);
    assert_eq!((letter.family, letter.attempts), (Family::SmallRye, Some(3)));
    assert_eq!((letter.message.as_str(), letter.origin), ("boom", origin("orders-retry_20000", 1, 5, None)));
}

#[test]
fn nservicebus_has_a_queue_and_a_time_of_its_own_form() {
    let trace = b"System.AggregateException: One or more errors occurred. (The operation has timed out.)\r\n ---> System.TimeoutException: The operation has timed out.\r\n   at Sales.Handler.Handle(PlaceOrder m) in /src/Handler.cs:line 12\r\n   --- End of inner exception stack trace ---\r\n   at NServiceBus.Pipeline.Invoke()";
    let mut headers: Vec<Header<'_>> = vec![
        ("NServiceBus.MessageId", b"0f3c"),
        ("NServiceBus.ProcessingEndpoint", b"Sales"),
        ("NServiceBus.FailedQ", b"Sales"),
        ("NServiceBus.ExceptionInfo.ExceptionType", b"System.AggregateException"),
        ("NServiceBus.ExceptionInfo.InnerExceptionType", b"System.TimeoutException"),
        ("NServiceBus.ExceptionInfo.Message", b"One or more errors occurred. (The operation has timed out.)"),
        ("NServiceBus.ExceptionInfo.StackTrace", trace),
        ("NServiceBus.TimeOfFailure", b"2026-11-22 03:14:07:512345 Z"),
    ];
    let letter = read_of(&headers);
    assert_eq!(letter.family, Family::NServiceBus);
    assert_eq!(letter.exception.as_deref().and_then(class), Some(Class::Transient));
    assert_eq!((letter.message.as_str(), letter.chain.len()), ("The operation has timed out.", 2));
    assert_eq!(letter.failed_at, "2026-11-22T03:14:07.512345Z".parse().ok());
    assert_eq!(letter.consumer.as_deref(), Some("endpoint Sales"));
    for bad in ["2026-13-22 03:14:07:512345 Z", "2026-11-22 03:14:07:512345", "Z", " Z", "yesterday"] {
        headers.push(("NServiceBus.TimeOfFailure", bad.as_bytes()));
        assert_eq!(read_of(&headers).failed_at, None, "{bad}");
    }
}
