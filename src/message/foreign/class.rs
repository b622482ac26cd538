//! What is known of exceptions by their name alone.

use crate::flow::Class;

/// The record cannot be read, whoever tries.
const PERMANENT: &[&str] = &[
    "com.fasterxml.jackson.core.JsonParseException",
    "com.fasterxml.jackson.databind.JsonMappingException",
    "com.fasterxml.jackson.databind.exc.InvalidFormatException",
    "com.fasterxml.jackson.databind.exc.MismatchedInputException",
    "com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException",
    "com.google.protobuf.InvalidProtocolBufferException",
    "org.apache.avro.AvroTypeException",
    "org.apache.kafka.common.errors.RecordDeserializationException",
    "org.apache.kafka.common.errors.RecordTooLargeException",
    "org.apache.kafka.common.errors.SerializationException",
    "org.apache.kafka.connect.errors.DataException",
    "org.apache.kafka.connect.errors.SchemaProjectorException",
    "org.springframework.kafka.support.converter.ConversionException",
    "org.springframework.kafka.support.serializer.DeserializationException",
    "org.springframework.messaging.converter.MessageConversionException",
    "org.springframework.messaging.handler.invocation.MethodArgumentResolutionException",
    "NServiceBus.MessageDeserializationException",
    "Newtonsoft.Json.JsonReaderException",
    "Newtonsoft.Json.JsonSerializationException",
    "System.Text.Json.JsonException",
];

/// Something did not answer in time.
const TRANSIENT: &[&str] = &[
    "io.smallrye.mutiny.TimeoutException",
    "java.net.ConnectException",
    "java.net.SocketTimeoutException",
    "java.net.http.HttpConnectTimeoutException",
    "java.net.http.HttpTimeoutException",
    "java.sql.SQLTimeoutException",
    "java.sql.SQLTransientConnectionException",
    "java.util.concurrent.TimeoutException",
    "org.apache.kafka.common.errors.TimeoutException",
    "org.apache.kafka.connect.errors.RetriableException",
    "System.TimeoutException",
];

/// The class of a failure, where its exception's name leaves no doubt.
pub fn class(exception: &str) -> Option<Class> {
    if PERMANENT.contains(&exception) {
        Some(Class::Permanent)
    } else if TRANSIENT.contains(&exception) {
        Some(Class::Transient)
    } else {
        None
    }
}
